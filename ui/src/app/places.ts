import type { IconName } from "../components/Icon";

interface Place {
  to: "/" | "/runs" | "/experiments" | "/models" | "/data" | "/endpoints" | "/queue";
  label: string;
  icon: IconName;
  /** Pressed after `g`. */
  key: string;
}

export const PLACES: Place[] = [
  { to: "/", label: "Overview", icon: "overview", key: "o" },
  { to: "/runs", label: "Runs", icon: "runs", key: "r" },
  { to: "/experiments", label: "Experiments", icon: "experiments", key: "x" },
  { to: "/models", label: "Models", icon: "models", key: "m" },
  { to: "/data", label: "Data", icon: "data", key: "d" },
  { to: "/endpoints", label: "Endpoints", icon: "endpoints", key: "e" },
  { to: "/queue", label: "Queue", icon: "queue", key: "q" },
];

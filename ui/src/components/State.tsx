// A state, told three ways: by word, by icon and by colour. Colour is never the only sign.
import { words } from "../lib/format";
import { Icon, type IconName } from "./Icon";

export type Tone = "good" | "live" | "wait" | "bad" | "mute";

const LOOKS: Record<string, [Tone, IconName]> = {
  waiting: ["mute", "circle"],
  pending: ["mute", "circle"],
  queued: ["wait", "clock"],
  starting: ["live", "arc"],
  running: ["live", "arc"],
  preparing: ["live", "arc"],
  deploying: ["live", "arc"],
  publishing: ["live", "up"],
  stopping: ["wait", "arc"],
  draining: ["wait", "arc"],
  backing_off: ["wait", "clock"],
  succeeded: ["good", "check"],
  ready: ["good", "check"],
  deployed: ["good", "check"],
  unchanged: ["mute", "dash"],
  registered: ["good", "check"],
  ok: ["good", "check"],
  idle: ["good", "check"],
  reused: ["good", "reuse"],
  degraded: ["wait", "bang"],
  gated: ["wait", "slash"],
  failed: ["bad", "cross"],
  failing: ["bad", "cross"],
  error: ["bad", "cross"],
  lost: ["bad", "cross"],
  in_progress: ["live", "arc"],
  finished: ["good", "check"],
  scheduled: ["wait", "clock"],
  killed: ["bad", "slash"],
  cancelled: ["mute", "slash"],
  answered: ["good", "check"],
  invalid: ["wait", "bang"],
  verified: ["good", "check"],
  unsafe: ["wait", "bang"],
  damaged: ["bad", "cross"],
  unknown: ["mute", "dash"],
  approved: ["good", "check"],
  rejected: ["bad", "cross"],
  skipped: ["mute", "dash"],
  paused: ["wait", "clock"],
  completed: ["good", "check"],
  rolled_back: ["bad", "reuse"],
  superseded: ["mute", "slash"],
  stopped: ["mute", "dash"],
};

export function look(state: string): { tone: Tone; icon: IconName } {
  const [tone, icon] = LOOKS[state] ?? ["mute", "circle"];
  return { tone, icon };
}

export function StateIcon({ state }: { state: string }) {
  const { tone, icon } = look(state);
  return <Icon name={icon} className={`tone-${tone}${icon === "arc" ? " turning" : ""}`} />;
}

export function State({ state }: { state: string }) {
  const { tone } = look(state);
  return (
    <span className={`state tone-${tone}`} data-state={state}>
      <StateIcon state={state} />
      {words(state)}
    </span>
  );
}

// Keyboard shortcuts for the whole console, and the dialog under `?` that lists them.
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { Dialog } from "../components/Dialog";
import { setTheme } from "../lib/theme";
import { PLACES } from "./places";

const CHORD_MS = 1200;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

const shownDark = (): boolean => getComputedStyle(document.documentElement).colorScheme.startsWith("dark");

export function Shortcuts() {
  const [open, setOpen] = useState(false);
  const navigate = useNavigate();
  const chord = useRef(0);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const place = PLACES.find((one) => one.key === event.key);
      if (Date.now() - chord.current < CHORD_MS && place) {
        chord.current = 0;
        void navigate({ to: place.to });
      } else if (event.key === "g") chord.current = Date.now();
      else if (event.key === "?") setOpen(true);
      else if (event.key === "t") setTheme(shownDark() ? "light" : "dark");
      else if (event.key === "/") {
        const field = document.querySelector<HTMLElement>("[data-search]");
        if (!field) return;
        field.focus();
      } else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [navigate]);
  if (!open) return null;
  return (
    <Dialog title="Keyboard shortcuts" onClose={() => setOpen(false)}>
      <dl className="shortcuts">
        {PLACES.map((place) => <Row key={place.key} keys={["g", place.key]} text={`Go to ${place.label}`} />)}
        <Row keys={["←", "→", "↑", "↓"]} text="Walk a graph, a table, the spans of a trace or a row of tabs" />
        <Row keys={["/"]} text="Search in the log, a folder, runs, traces or spans" />
        <Row keys={["Space", "Enter"]} text="Choose or open a run, or show a span" />
        <Row keys={["+", "0"]} text="Zoom into a chart or a span, or show all of it" />
        <Row keys={["t"]} text="Light or dark" />
        <Row keys={["Esc"]} text="Close a dialog" />
        <Row keys={["?"]} text="This list" />
      </dl>
      <div className="dialog-actions"><button type="button" className="button" onClick={() => setOpen(false)}>Close</button></div>
    </Dialog>
  );
}

function Row({ keys, text }: { keys: string[]; text: string }) {
  return (
    <div>
      <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
      <dd>{text}</dd>
    </div>
  );
}

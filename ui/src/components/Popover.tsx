// A button with a panel below it, which closes on Escape and when the focus leaves it, and stays within the window.
import { useId, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { Icon } from "./Icon";

const MARGIN_PX = 14;

interface Props {
  label: ReactNode;
  /** What the panel is, for screen readers. */
  title: string;
  children: (close: () => void) => ReactNode;
}

export function Popover({ label, title, children }: Props) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div
      className="popover-host"
      onKeyDown={(event) => { if (open && event.key === "Escape") { close(); event.stopPropagation(); } }}
      onBlur={(event) => { if (event.relatedTarget !== null && !event.currentTarget.contains(event.relatedTarget)) setOpen(false); }}
    >
      <button type="button" ref={button} className="button" aria-haspopup="dialog" aria-expanded={open} aria-controls={open ? id : undefined} onClick={() => setOpen(!open)}>
        {label}<Icon name="down" />
      </button>
      {open && <Panel id={id} title={title} onOutside={() => setOpen(false)}>{children(close)}</Panel>}
    </div>
  );
}

function Panel({ id, title, onOutside, children }: { id: string; title: string; onOutside: () => void; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const outside = useRef(onOutside);
  outside.current = onOutside;
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const over = element.getBoundingClientRect().right + MARGIN_PX - document.documentElement.clientWidth;
    if (over > 0) element.style.left = `${-over}px`;
    element.querySelector<HTMLElement>("input, button, a")?.focus({ preventScroll: true });
    // A press on what takes no focus leaves the panel too.
    const press = (event: PointerEvent): void => {
      if (event.target instanceof Element && !element.parentElement?.contains(event.target) && !event.target.closest("dialog")) outside.current();
    };
    document.addEventListener("pointerdown", press);
    return () => document.removeEventListener("pointerdown", press);
  }, []);
  return <div className="popover" id={id} ref={box} role="dialog" aria-label={title} tabIndex={-1}>{children}</div>;
}

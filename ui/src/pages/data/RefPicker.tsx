// Chooses a branch, a tag or anything else that names a commit: a button, and below it a field that filters a list.
import { useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import type { Dataset } from "../../api/data";
import { Icon, type IconName } from "../../components/Icon";
import { count } from "../../lib/format";
import { kindOf, refLabel, refOptions, type RefOption } from "./refs";

const ICONS: Record<RefOption["kind"], IconName> = { branch: "branch", tag: "tag", other: "commit" };
const KINDS: Record<RefOption["kind"], string> = { branch: "branch", tag: "tag", other: "commit" };
/** Between the list and the edge of the window. */
const MARGIN_PX = 14;

interface Props {
  dataset: Dataset;
  value: string;
  /** What it is chosen for, such as `From`. */
  label: string;
  onPick: (ref: string) => void;
}

export function RefPicker({ dataset, value, label, onPick }: Props) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const kind = kindOf(dataset, value);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div className="ref-picker">
      <button
        type="button"
        ref={button}
        className="button"
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-label={`${label}: ${KINDS[kind]} ${refLabel(value)}. Choose another`}
        title={value}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => { if (event.key === "ArrowDown") { event.preventDefault(); setOpen(true); } }}
      >
        <Icon name={ICONS[kind]} /><span className="ref-name">{refLabel(value)}</span><Icon name="down" />
      </button>
      {open && <Choices dataset={dataset} value={value} label={label} onClose={close} onLeave={() => setOpen(false)} onPick={(ref) => { close(); if (ref !== value) onPick(ref); }} />}
    </div>
  );
}

interface ChoicesProps extends Props {
  onClose: () => void;
  onLeave: () => void;
}

function Choices({ dataset, value, label, onPick, onClose, onLeave }: ChoicesProps) {
  const [wanted, setWanted] = useState("");
  const { options, more } = refOptions(dataset, wanted);
  const [at, setAt] = useState(() => Math.max(0, options.findIndex((one) => one.name === value)));
  const current = Math.min(at, options.length - 1);
  const box = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  useKeptInWindow(box);
  // After the list is where it belongs: focus scrolls to what goes on beyond the window.
  useEffect(() => field.current?.focus(), []);
  useEffect(() => {
    box.current?.querySelector(`[id="${id}-${current}"]`)?.scrollIntoView({ block: "nearest" });
  }, [current, id]);
  const press = (event: KeyboardEvent): void => {
    const to = { ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + 8, PageUp: current - 8 }[event.key];
    const chosen = options[current];
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && chosen) onPick(chosen.name);
    else if (to !== undefined) setAt(Math.max(0, Math.min(options.length - 1, to)));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="ref-choices" ref={box} role="dialog" aria-label={label} onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) onLeave(); }}>
      <input
        ref={field}
        role="combobox"
        aria-label="Branch, tag or commit"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={options.length > 0 ? `${id}-${current}` : undefined}
        placeholder="Branch, tag or commit"
        spellCheck={false}
        autoComplete="off"
        value={wanted}
        onChange={(event) => { setWanted(event.target.value); setAt(0); }}
        onKeyDown={press}
      />
      <ul id={`${id}-list`} role="listbox" aria-label="Branches and tags">
        {options.map((one, index) => (
          // The press would take the focus from the field, and with it the list away.
          <li key={`${one.kind} ${one.name}`} id={`${id}-${index}`} role="option" aria-selected={index === current} title={one.name} onPointerDown={(event) => event.preventDefault()} onClick={() => onPick(one.name)}>
            <Icon name={ICONS[one.kind]} />
            <span className="ref-name">{one.kind === "other" ? `Go to ${one.name}` : one.name}</span>
            {one.kind === "branch" && one.name === dataset.default_branch && <span className="chip">default</span>}
            <span className="hidden-text">{KINDS[one.kind]}</span>
            {one.name === value && <Icon name="check" className="ref-now" />}
          </li>
        ))}
      </ul>
      {more > 0 && <p className="faint" role="status">{count(more)} more: type a part of the name</p>}
      {options.length === 0 && <p className="faint">No branch or tag</p>}
    </div>
  );
}

/** Moves a list that would go on beyond the window back into it. */
function useKeptInWindow(box: { current: HTMLElement | null }): void {
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const over = element.getBoundingClientRect().right + MARGIN_PX - document.documentElement.clientWidth;
    if (over > 0) element.style.left = `${-over}px`;
  }, [box]);
}

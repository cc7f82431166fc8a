// The search box: plain words or a filter. What the server says against a filter stands below it.
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import type { TrackingRun } from "../../api/tracking";
import { asApiError, sentence } from "../../api/errors";
import { Icon } from "../../components/Icon";
import { examples } from "./filter";

/** Words are searched for as they are typed; a filter is wrong until it is whole, so it waits for Enter or a pause. */
const PAUSE_MS = 600;

interface Props {
  value: string;
  onChange: (value: string) => void;
  error: unknown;
  runs: TrackingRun[];
}

export function RunSearchBox({ value, onChange, error, runs }: Props) {
  const [typed, setTyped] = useState(value);
  const [help, setHelp] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = window.setTimeout(() => onChange(typed), PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [typed, value, onChange]);
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Enter") onChange(typed);
    else if (event.key === "Escape" && help) setHelp(false);
    else return;
    event.preventDefault();
  };
  const use = (filter: string): void => {
    setHelp(false);
    onChange(filter);
    field.current?.focus();
  };
  const wrong = error !== undefined;
  return (
    <div className="run-search" onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) setHelp(false); }}>
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        data-search
        aria-label="Search runs"
        placeholder="Names, or a filter such as metrics.loss < 0.5 (/)"
        spellCheck={false}
        autoComplete="off"
        value={typed}
        aria-invalid={wrong}
        aria-describedby={wrong ? `${id}-error` : undefined}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={press}
      />
      <button type="button" className="button" aria-expanded={help} aria-controls={`${id}-help`} onClick={() => setHelp(!help)}>Examples</button>
      {help && (
        <div className="popover" id={`${id}-help`} onKeyDown={(event) => { if (event.key === "Escape") { setHelp(false); field.current?.focus(); } }}>
          <p className="soft">Plain words are looked for in names. A filter compares <code>metrics.</code>, <code>params.</code>, <code>tags.</code> and attributes, joined by <code>AND</code>.</p>
          <ul>
            {examples(runs).map((one) => (
              <li key={one.filter}><button type="button" className="link" onClick={() => use(one.filter)}><code>{one.filter}</code></button> <span className="faint">{one.says}</span></li>
            ))}
          </ul>
        </div>
      )}
      {wrong && <p className="run-search-error tone-bad" id={`${id}-error`} role="alert">{sentence(asApiError(error).report.message)}</p>}
    </div>
  );
}

// The runs of a set of charts, with how each is drawn. A press hides or shows a run.
import type { Look } from "./palette";

export interface DrawnRun {
  id: string;
  name: string;
  look: Look;
}

/** A piece of the run's line. */
export function Swatch({ look }: { look: Look }) {
  return (
    <svg className="swatch" viewBox="0 0 22 10" aria-hidden="true">
      <path d="M1 5h20" stroke={`var(${look.colour})`} strokeDasharray={look.dash.join(" ")} />
    </svg>
  );
}

interface Props {
  runs: DrawnRun[];
  hidden: Set<string>;
  onToggle: (id: string) => void;
}

export function Legend({ runs, hidden, onToggle }: Props) {
  return (
    <ul className="legend" aria-label="Runs">
      {runs.map((run) => (
        <li key={run.id}>
          <button type="button" aria-pressed={!hidden.has(run.id)} title={hidden.has(run.id) ? `Show ${run.name}` : `Hide ${run.name}`} onClick={() => onToggle(run.id)}>
            <Swatch look={run.look} /><bdi>{run.name}</bdi>
          </button>
        </li>
      ))}
    </ul>
  );
}

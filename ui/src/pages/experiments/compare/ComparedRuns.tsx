import { Link } from "@tanstack/react-router";
import type { TrackingRun } from "../../../api/tracking";
import { Swatch } from "../../../components/chart/Legend";
import { looksOf } from "../../../components/chart/palette";
import { Icon } from "../../../components/Icon";
import { StateIcon } from "../../../components/State";

/** The runs that are compared, with their colours; each may be left out. */
export function ComparedRuns({ runs, onChange }: { runs: TrackingRun[]; onChange: (ids: string[]) => void }) {
  const looks = looksOf(runs.map((run) => run.id));
  return (
    <ul className="compared" aria-label="Compared runs">
      {runs.map((run) => {
        const look = looks.get(run.id);
        return (
          <li key={run.id}>
            {look && <Swatch look={look} />}
            <StateIcon state={run.state} /><span className="hidden-text">{run.state}</span>
            <Link to="/experiments/$experiment/runs/$run" params={{ experiment: run.experiment, run: run.id }} title={run.name}><bdi>{run.name}</bdi></Link>
            {run.deleted && <span className="chip">deleted</span>}
            <button type="button" className="button-icon" disabled={runs.length < 2} aria-label={`Leave out ${run.name}`} title="Leave out" onClick={() => onChange(runs.filter((one) => one.id !== run.id).map((one) => one.id))}><Icon name="cross" /></button>
          </li>
        );
      })}
    </ul>
  );
}

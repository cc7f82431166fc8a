// One run as a row of the table. It is drawn again only when something of it changes.
import { memo, type MouseEvent } from "react";
import type { TrackingRun } from "../../api/tracking";
import { State } from "../../components/State";
import { Ago, Span } from "../../components/Time";
import { shownOf, valueOf, type RunColumn } from "./columns";

interface Props {
  id: string;
  index: number;
  /** Undefined while its page is on the way. */
  run: TrackingRun | undefined;
  columns: RunColumn[];
  /** How many columns are left of these. */
  from: number;
  active: boolean;
  chosen: boolean;
  onCheck: (run: TrackingRun, index: number, extend: boolean) => void;
  onOpen: (path: string) => void;
}

export const runPath = (run: Pick<TrackingRun, "experiment" | "id">): string => `/experiments/${run.experiment}/runs/${run.id}`;

export const Row = memo(function Row({ id, index, run, columns, from, active, chosen, onCheck, onOpen }: Props) {
  const classes = `run-line${active ? " active" : ""}${chosen ? " chosen" : ""}`;
  if (!run) {
    return (
      <div className={`${classes} waiting`} role="row" id={id} aria-rowindex={index + 2} aria-busy="true">
        <span role="gridcell" /><span role="gridcell" className="run-name"><i /></span>
        {columns.map((column, at) => <span key={column.id} role="gridcell" style={{ gridColumn: from + at + 3 }}><i /></span>)}
      </div>
    );
  }
  const open = (event: MouseEvent<HTMLAnchorElement>): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(event.currentTarget.getAttribute("href") ?? "");
  };
  return (
    <div className={classes} role="row" id={id} aria-rowindex={index + 2} aria-selected={chosen}>
      <span role="gridcell" className="run-check" onClick={(event) => onCheck(run, index, event.shiftKey)}>
        <input type="checkbox" tabIndex={-1} checked={chosen} readOnly aria-label={`Select ${run.name}`} />
      </span>
      <span role="gridcell" className="run-name"><a href={runPath(run)} tabIndex={-1} title={run.name} onClick={open}>{run.name}</a></span>
      {columns.map((column, at) => (
        <span key={column.id} role="gridcell" aria-colindex={from + at + 3} style={{ gridColumn: from + at + 3 }} className={column.number ? "number" : undefined}><Cell run={run} column={column} /></span>
      ))}
    </div>
  );
});

function Cell({ run, column }: { run: TrackingRun; column: RunColumn }) {
  if (column.entity === "attributes") {
    if (column.key === "state") return <State state={run.state} />;
    if (column.key === "started") return <Ago at={run.started_ms} />;
    if (column.key === "ended") return <Ago at={run.ended_ms} />;
    // A run whose script was killed says "running" for ever; its span would tell nothing.
    if (column.key === "took" && run.ended_ms !== undefined) return <Span from={run.started_ms} to={run.ended_ms} />;
    if (column.key === "id") return <code className="id">{run.id}</code>;
  }
  const shown = shownOf(run, column);
  if (shown === "") return <span className="faint">–</span>;
  return column.number ? <span title={valueOf(run, column)}>{shown}</span> : <bdi title={shown}>{shown}</bdi>;
}

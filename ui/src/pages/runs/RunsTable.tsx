import { Link } from "@tanstack/react-router";
import type { RunSummary } from "../../api/runs";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago, Span } from "../../components/Time";
import { shortId } from "../../lib/format";

export function RunsTable({ runs }: { runs: RunSummary[] }) {
  return (
    <Table
      label="Runs"
      rows={runs}
      rowKey={(run) => run.id}
      columns={[
        {
          head: "Run",
          wide: true,
          cell: (run) => (
            <Link to="/runs/$id" params={{ id: run.id }} className="row-link">
              <b>{run.project}</b> <code className="id" title={run.id}>{shortId(run.id)}</code>
            </Link>
          ),
        },
        { head: "State", cell: (run) => <State state={run.state} /> },
        { head: "Steps", cell: (run) => <Progress done={run.steps_done} total={run.steps_total} failed={run.state === "failed"} /> },
        { head: "Took", cell: (run) => <Span from={run.started_ms} to={run.ended_ms} />, number: true },
        { head: "Submitted", cell: (run) => <Ago at={run.created_ms} /> },
        { head: "By", cell: (run) => run.submitted_by },
      ]}
    />
  );
}

function Progress({ done, total, failed }: { done: number; total: number; failed: boolean }) {
  return (
    <span className="progress">
      <span className={failed ? "progress-track bad" : "progress-track"} aria-hidden="true">
        <i style={{ width: total > 0 ? `${(100 * done) / total}%` : "0%" }} />
      </span>
      <span className="number">{done}/{total}</span>
    </span>
  );
}

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { ErrorNote } from "../../../components/Notice";
import { Panel } from "../../../components/Panel";
import { State } from "../../../components/State";
import { Table } from "../../../components/Table";
import { Ago, Span } from "../../../components/Time";
import { COMPARE_MAX } from "../compare/differences";
import { firstColumns, shownOf } from "../columns";

const SHOWN = 100;

/** Runs that were started inside this one. Nothing where there are none: most runs have none. */
export function Children({ run }: { run: TrackingRun }) {
  const query = useQuery({ queryKey: ["children", run.id], queryFn: () => tracking.children(run, SHOWN), refetchInterval: run.state === "running" ? 5000 : false, structuralSharing: false });
  if (query.isError && query.data === undefined) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const { items = [], more = false } = query.data ?? {};
  if (items.length === 0) return null;
  const columns = firstColumns(items).filter((column) => column.entity !== "attributes");
  const compare = items.length > 1 && <Link className="button" to="/experiments/$experiment/compare" params={{ experiment: run.experiment }} search={{ runs: items.slice(0, COMPARE_MAX).map((one) => one.id).join(",") }}>Compare{items.length > COMPARE_MAX ? ` the first ${COMPARE_MAX}` : " them"}</Link>;
  return (
    <Panel title={`Runs inside this one (${items.length}${more ? "+" : ""})`} aside={compare}>
      <Table
        label="Runs inside this one"
        rows={items}
        rowKey={(one) => one.id}
        columns={[
          { head: "Run", cell: (one) => <Link to="/experiments/$experiment/runs/$run" params={{ experiment: one.experiment, run: one.id }} className="row-link"><b>{one.name}</b></Link> },
          { head: "State", cell: (one) => <State state={one.state} /> },
          ...columns.map((column) => ({ head: column.head, number: column.number, cell: (one: TrackingRun) => shownOf(one, column) || <span className="faint">–</span> })),
          { head: "Took", number: true, cell: (one) => (one.ended_ms === undefined ? <span className="faint">–</span> : <Span from={one.started_ms} to={one.ended_ms} />) },
          { head: "Started", cell: (one) => <Ago at={one.started_ms} /> },
        ]}
      />
    </Panel>
  );
}

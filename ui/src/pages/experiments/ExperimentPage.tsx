import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { tracking, type TrackingRun } from "../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { State } from "../../components/State";
import { Table, type Column } from "../../components/Table";
import { Ago } from "../../components/Time";
import { duration, metric } from "../../lib/format";

/** Metrics that fit beside a run's name; its own page shows all. */
const SHOWN = 4;

/** The runs of one experiment, newest first, with their latest metrics. */
export function ExperimentPage() {
  const { experiment: id } = useParams({ from: "/experiments/$experiment" });
  const experiment = useQuery({ queryKey: ["experiment", id], queryFn: () => tracking.experiment(id) });
  const runs = useInfiniteQuery({
    queryKey: ["experiment-runs", id],
    queryFn: ({ pageParam }) => tracking.runs(id, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
    refetchInterval: 5000,
  });
  const over = <Link {...CRUMB} to="/experiments">Experiments</Link>;
  const title = experiment.data?.name ?? `Experiment ${id}`;
  if (experiment.isError) return <><PageHead title={title} over={over} /><ErrorNote error={experiment.error} retry={() => void experiment.refetch()} back={{ to: "/experiments", label: "All experiments" }} /></>;
  const items = runs.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <PageHead title={title} over={over} />
      {runs.isPending ? <Skeleton lines={6} /> : runs.isError && items.length === 0 ? (
        <ErrorNote error={runs.error} retry={() => void runs.refetch()} />
      ) : items.length === 0 ? (
        <Empty title="No run in this experiment">A run appears as soon as a client starts one: <code>mlflow.start_run()</code></Empty>
      ) : (
        <Table label="Runs" rows={items} rowKey={(run) => run.id} columns={columns(items)} />
      )}
      {runs.hasNextPage && (
        <button type="button" className="button" disabled={runs.isFetchingNextPage} onClick={() => void runs.fetchNextPage()}>Show older runs</button>
      )}
    </>
  );
}

function columns(runs: TrackingRun[]): Column<TrackingRun>[] {
  const counts = new Map<string, number>();
  for (const run of runs) for (const { key } of run.metrics) counts.set(key, (counts.get(key) ?? 0) + 1);
  const keys = [...counts].sort(([a, many], [b, few]) => few - many || a.localeCompare(b)).slice(0, SHOWN).map(([key]) => key);
  return [
    { head: "Run", wide: true, cell: (run) => <Link to="/experiments/$experiment/runs/$run" params={{ experiment: run.experiment, run: run.id }} className="row-link"><b>{run.name}</b></Link> },
    { head: "State", cell: (run) => <State state={run.state} /> },
    ...keys.map((key): Column<TrackingRun> => ({ head: key, number: true, cell: (run) => latest(run, key) })),
    { head: "Took", number: true, cell: (run) => (run.ended_ms ? duration(run.ended_ms - run.started_ms) : <span className="faint">–</span>) },
    { head: "Started", cell: (run) => <Ago at={run.started_ms} /> },
  ];
}

function latest(run: TrackingRun, key: string) {
  const found = run.metrics.find((point) => point.key === key);
  return found ? metric(found.value) : <span className="faint">–</span>;
}

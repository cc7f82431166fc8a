// The metrics that a step logged, one chart each, growing while it runs.
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { tracking } from "../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";

// The chart library is only fetched when a chart is looked at.
const Chart = lazy(async () => ({ default: (await import("../../components/chart/Chart")).Chart }));

const REFRESH_MS = 2000;
const AT_FIRST = 12;

export function Metrics({ runId, live }: { runId: string; live: boolean }) {
  const [all, setAll] = useState(false);
  const run = useQuery({ queryKey: ["tracking", runId], queryFn: () => tracking.run(runId), refetchInterval: live ? REFRESH_MS : false });
  if (run.isPending) return <Skeleton lines={5} />;
  if (run.isError) return <ErrorNote error={run.error} retry={() => void run.refetch()} />;
  const keys = [...new Set(run.data.metrics.map((point) => point.key))].sort();
  const { params } = run.data;
  return (
    <>
      {keys.length === 0 && (
        <Empty title={live ? "No metrics yet" : "No metrics"}>A step logs them with the ordinary client: <code>mlflow.log_metric("loss", value, step=step)</code></Empty>
      )}
      <Suspense fallback={<Skeleton lines={5} />}>
        <div className="charts">
          {keys.slice(0, all ? undefined : AT_FIRST).map((key) => <History key={key} runId={runId} name={key} live={live} />)}
        </div>
      </Suspense>
      {!all && keys.length > AT_FIRST && (
        <button type="button" className="button" onClick={() => setAll(true)}>Show all {keys.length} metrics</button>
      )}
      {params.length > 0 && (
        <dl className="pairs params" aria-label="Parameters">
          {params.map((param) => <div key={param.key}><dt>{param.key}</dt><dd className="number">{param.value}</dd></div>)}
        </dl>
      )}
    </>
  );
}

function History({ runId, name, live }: { runId: string; name: string; live: boolean }) {
  const history = useQuery({
    queryKey: ["metric", runId, name, live],
    queryFn: () => tracking.history(runId, name),
    refetchInterval: live ? REFRESH_MS : false,
    placeholderData: (before) => before,
  });
  if (history.isError) return <ErrorNote error={history.error} retry={() => void history.refetch()} />;
  return <Chart name={name} points={history.data ?? EMPTY} />;
}

const EMPTY: never[] = [];

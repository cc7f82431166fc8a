// The metrics and parameters that a step logged, growing while it runs.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking } from "../../api/tracking";
import { MetricCharts } from "../../components/chart/MetricCharts";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";

const REFRESH_MS = 2000;

export function Metrics({ runId, live }: { runId: string; live: boolean }) {
  const run = useQuery({ queryKey: ["tracking", runId], queryFn: () => tracking.run(runId), refetchInterval: live ? REFRESH_MS : false, structuralSharing: false });
  if (run.isPending) return <Skeleton lines={5} />;
  if (run.isError && run.data === undefined) return <ErrorNote error={run.error} retry={() => void run.refetch()} />;
  const { params, experiment, id } = run.data;
  return (
    <>
      <MetricCharts
        runs={[run.data]}
        none={<Empty title={live ? "No metrics yet" : "No metrics"}>A step logs them with the ordinary client: <code>mlflow.log_metric("loss", value, step=step)</code></Empty>}
      />
      {params.size > 0 && (
        <dl className="pairs params" aria-label="Parameters">
          {[...params].map(([key, value]) => <div key={key}><dt>{key}</dt><dd className="number">{value}</dd></div>)}
        </dl>
      )}
      <p className="soft"><Link to="/experiments/$experiment/runs/$run" params={{ experiment, run: id }}>All that this step logged</Link>, with its artifacts and tags</p>
    </>
  );
}

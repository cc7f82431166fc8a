import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking, type TrackingRun } from "../../../api/tracking";
import { Copy, Id } from "../../../components/Command";
import { State } from "../../../components/State";
import { Ago } from "../../../components/Time";
import { duration } from "../../../lib/format";

/** Tags that tell which step of which pipeline run logged this, and inside which other run it was started. */
const RUN_TAG = "corliss.run_id";
const STEP_TAG = "corliss.step";
const PARENT_TAG = "mlflow.parentRunId";

export function RunFacts({ run }: { run: TrackingRun }) {
  const [pipeline, step, parent] = [RUN_TAG, STEP_TAG, PARENT_TAG].map((name) => run.tags.get(name));
  return (
    <>
      <State state={run.state} />
      <span>started <Ago at={run.started_ms} /></span>
      {run.ended_ms !== undefined && <span>took {duration(run.ended_ms - run.started_ms)}</span>}
      {run.user && <span>by {run.user}</span>}
      {pipeline && <span>logged by <Link to="/runs/$id" params={{ id: pipeline }} search={{ step }}>{step ? `step ${step}` : "a pipeline run"}</Link></span>}
      {parent && <Parent id={parent} />}
      <span>id <Id id={run.id} short={run.id.slice(0, 8)} /> <Copy text={run.id} label="Copy the run's id" /></span>
    </>
  );
}

function Parent({ id }: { id: string }) {
  const query = useQuery({ queryKey: ["tracking", id], queryFn: () => tracking.run(id), staleTime: 60_000, structuralSharing: false });
  if (!query.data) return <span>in run <code className="id">{id.slice(0, 8)}</code></span>;
  return <span>in <Link to="/experiments/$experiment/runs/$run" params={{ experiment: query.data.experiment, run: id }}>{query.data.name}</Link></span>;
}

import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { tracking, type TrackingRun } from "../../api/tracking";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { Ago } from "../../components/Time";
import { duration } from "../../lib/format";
import { Metrics } from "./Metrics";

/** Tags that tell which step of which pipeline run logged this. */
const RUN_TAG = "corliss.run_id";
const STEP_TAG = "corliss.step";

/** One tracking run: what was logged, and the pipeline step that logged it, if one did. */
export function TrackingRunPage() {
  const { experiment, run: id } = useParams({ from: "/experiments/$experiment/runs/$run" });
  const query = useQuery({
    queryKey: ["tracking", id],
    queryFn: () => tracking.run(id),
    refetchInterval: (asked) => (asked.state.data?.state === "running" ? 2000 : false),
  });
  const parent = useQuery({ queryKey: ["experiment", experiment], queryFn: () => tracking.experiment(experiment) });
  const over = <><Link {...CRUMB} to="/experiments">Experiments</Link> <span aria-hidden="true">/</span> <Link {...CRUMB} to="/experiments/$experiment" params={{ experiment }}>{parent.data?.name ?? experiment}</Link></>;
  if (query.isPending) return <><PageHead title={id} over={over} /><Skeleton lines={6} /></>;
  if (query.isError) return <><PageHead title={id} over={over} /><ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/experiments", label: "All experiments" }} /></>;
  const run = query.data;
  const tags = run.tags.filter(({ key }) => !key.startsWith("mlflow.") && !key.startsWith("corliss."));
  return (
    <>
      <PageHead title={run.name} over={over} facts={<Facts run={run} />} />
      <Panel title="Metrics and parameters"><Metrics runId={run.id} live={run.state === "running"} /></Panel>
      {tags.length > 0 && (
        <Panel title="Tags">
          <dl className="pairs">{tags.map(({ key, value }) => <div key={key}><dt>{key}</dt><dd>{value}</dd></div>)}</dl>
        </Panel>
      )}
    </>
  );
}

function Facts({ run }: { run: TrackingRun }) {
  const tag = (name: string): string | undefined => run.tags.find(({ key }) => key === name)?.value;
  const [pipeline, step] = [tag(RUN_TAG), tag(STEP_TAG)];
  return (
    <>
      <State state={run.state} />
      <span>started <Ago at={run.started_ms} /></span>
      {run.ended_ms !== undefined && <span>took {duration(run.ended_ms - run.started_ms)}</span>}
      {pipeline && <span>logged by <Link to="/runs/$id" params={{ id: pipeline }} search={{ step }}>{step ? `step ${step}` : "a pipeline run"}</Link></span>}
    </>
  );
}

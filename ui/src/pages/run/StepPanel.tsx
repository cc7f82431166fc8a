import { useQuery } from "@tanstack/react-query";
import { sentence } from "../../api/errors";
import { jobs } from "../../api/jobs";
import type { RunDetail, StepView } from "../../api/runs";
import { Panel } from "../../components/Panel";
import { State } from "../../components/State";
import { Tabs } from "../../components/Tabs";
import { Span } from "../../components/Time";
import { absolute, duration, plural } from "../../lib/format";
import { Logs } from "./Logs";
import { Metrics } from "../experiments/Metrics";
import { StepAttempts } from "./StepAttempts";
import { StepData } from "./StepData";

interface Props {
  run: RunDetail;
  step: StepView;
  tab: string | undefined;
  onTab: (tab: string) => void;
}

export function StepPanel({ run, step, tab, onTab }: Props) {
  const tabs = [
    { id: "logs", label: "Logs" },
    ...(step.tracking_run_id ? [{ id: "metrics", label: "Metrics" }] : []),
    { id: "attempts", label: `Attempts (${step.attempts.length})` },
    { id: "data", label: "Inputs and outputs" },
  ];
  const current = tabs.find((one) => one.id === tab)?.id ?? "logs";
  return (
    <Panel
      title={`Step ${step.name}`}
      className="step-panel"
      aside={
        <>
          <State state={step.state} />
          {step.started_ms ? <Span from={step.started_ms} to={step.ended_ms} /> : null}
          {step.workers > 1 && <span>{plural(step.workers, "worker")}</span>}
          {step.launcher && <span className="faint">launched by {step.launcher}</span>}
        </>
      }
    >
      <Reason step={step} />
      <Tabs label={`Step ${step.name}`} tabs={tabs} current={current} onChange={onTab}>
        {current === "logs" && <Logs step={step} />}
        {current === "metrics" && step.tracking_run_id && <Metrics runId={step.tracking_run_id} live={step.state === "running"} />}
        {current === "attempts" && <StepAttempts step={step} />}
        {current === "data" && <StepData run={run} step={step} />}
      </Tabs>
    </Panel>
  );
}

/** Why the step is where it is; a queued one is asked about at the scheduler. */
function Reason({ step }: { step: StepView }) {
  const queued = step.state === "queued" && step.job_id ? step.job_id : undefined;
  const why = useQuery({
    queryKey: ["why", queued],
    queryFn: () => jobs.why(queued ?? ""),
    enabled: queued !== undefined,
    refetchInterval: 3000,
  });
  if (queued !== undefined && why.data) {
    const { summary, position, starts_ms, waiting_ms } = why.data;
    return (
      <p className="reason">
        {sentence(summary)}{" "}
        <span className="faint">{position ? `Position ${position} in the queue, waiting` : "Waiting"} for <span className="number">{duration(waiting_ms)}</span>.
          {starts_ms ? <> It starts at <span className="number">{absolute(starts_ms)}</span> if the jobs before it run as long as was said.</> : null}</span>
      </p>
    );
  }
  if (!step.reason) return null;
  return <p className={step.state === "failed" ? "reason tone-bad" : "reason"}>{sentence(step.reason)}</p>;
}

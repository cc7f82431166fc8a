import { useQuery } from "@tanstack/react-query";
import { sentence } from "../../api/errors";
import { jobs, type TaskView } from "../../api/jobs";
import type { Attempt, StepView } from "../../api/runs";
import { Id } from "../../components/Command";
import { Empty } from "../../components/Notice";
import { State } from "../../components/State";
import { Table } from "../../components/Table";
import { Ago, Span } from "../../components/Time";
import { bytes, resources, shortId, words } from "../../lib/format";
import { attemptState, exitWords, isActive, taskState } from "./steps";

export function StepAttempts({ step }: { step: StepView }) {
  if (step.attempts.length === 0) {
    return (
      <Empty title={step.cached_from ? "Nothing ran: the result came from the cache" : "Not started yet"}>
        {step.cached_from ? `The same command, code and inputs ran in ${step.cached_from}.` : undefined}
      </Empty>
    );
  }
  return (
    <>
      <Table<Attempt>
        label="Attempts"
        rows={[...step.attempts].reverse()}
        rowKey={(attempt) => String(attempt.attempt)}
        columns={[
          { head: "Attempt", cell: (attempt) => attempt.attempt, number: true },
          { head: "State", cell: (attempt) => <State state={attemptState(attempt)} /> },
          { head: "Class", cell: (attempt) => (attempt.class ? words(attempt.class) : <span className="faint">–</span>) },
          { head: "Reason", wide: true, cell: (attempt) => (attempt.reason ? sentence(attempt.reason) : <span className="faint">–</span>) },
          { head: "Took", cell: (attempt) => <Span from={attempt.started_ms} to={attempt.ended_ms} />, number: true },
          { head: "Started", cell: (attempt) => <Ago at={attempt.started_ms} /> },
          { head: "Job", cell: (attempt) => (attempt.job_id ? <Id id={attempt.job_id} short={shortId(attempt.job_id)} /> : <span className="faint">–</span>) },
        ]}
      />
      {step.job_id && <Workers jobId={step.job_id} live={isActive(step)} />}
    </>
  );
}

/** The workers of the latest attempt, one row per rank. */
function Workers({ jobId, live }: { jobId: string; live: boolean }) {
  const job = useQuery({ queryKey: ["job", jobId], queryFn: () => jobs.get(jobId), refetchInterval: live ? 3000 : false });
  if (!job.data || job.data.tasks.length === 0) return null;
  return (
    <>
      <h3>Workers of the latest attempt <span className="faint">{resources(job.data.resources_per_worker)} each</span></h3>
      {job.data.resumed_from && <p className="reason">They went on from the checkpoint <code>{job.data.resumed_from}</code>.</p>}
      <Table<TaskView>
        label="Workers"
        rows={job.data.tasks}
        rowKey={(task) => task.task_id}
        columns={[
          { head: "Rank", cell: (task) => task.rank, number: true },
          { head: "State", cell: (task) => <State state={taskState(task)} /> },
          { head: "Process", cell: (task) => task.pid ?? <span className="faint">–</span>, number: true },
          { head: "Peak memory", cell: (task) => (task.exit?.peak_memory_bytes ? bytes(task.exit.peak_memory_bytes) : <span className="faint">–</span>), number: true },
          { head: "Exit", wide: true, cell: (task) => (task.exit ? exitWords(task.exit) : <span className="faint">–</span>) },
        ]}
      />
    </>
  );
}

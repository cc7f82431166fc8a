import { sentence } from "../../api/errors";
import { isFailing, type WorkerStatus } from "../../api/system";
import { State } from "../../components/State";
import { Ago } from "../../components/Time";

/** What each background loop does now, and the last thing that went wrong in it. */
export function Workers({ workers }: { workers: WorkerStatus[] }) {
  if (workers.length === 0) return <p className="soft">None is running.</p>;
  return (
    <div className="workers-box"><ul className="plain-list workers">
      {workers.map((worker) => (
        <li key={worker.name}>
          <b>{worker.name}</b>
          <State state={isFailing(worker) ? "failing" : worker.state} />
          <span className="faint worker-progress">{worker.progress}</span>
          <span className="faint worker-when"><Ago at={worker.last_success_ms} /></span>
          {worker.last_error && (
            <p className={isFailing(worker) ? "tone-bad" : "faint"}>
              {sentence(worker.last_error)}{" "}
              {isFailing(worker)
                ? (worker.failures ?? 1) > 1 && `${worker.failures} times in a row.`
                : <>Recovered{worker.last_error_ms ? <>; that was <Ago at={worker.last_error_ms} /></> : null}.</>}
            </p>
          )}
        </li>
      ))}
    </ul></div>
  );
}

// The log of a step: which attempt, rank and stream; follow; search.
import { useState } from "react";
import type { StepView } from "../../api/runs";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { plural } from "../../lib/format";
import { LogLines } from "./LogLines";
import { LogSearch } from "./LogSearch";
import { findLines } from "./logText";
import { useLogs } from "./useLogs";

export function Logs({ step }: { step: StepView }) {
  if (!step.attempts.some((one) => one.job_id)) {
    return <Empty title={step.cached_from ? "Nothing ran: the result came from the cache" : "No log yet: the step has not started"} />;
  }
  return <Viewer step={step} />;
}

type Stream = "both" | "stdout" | "stderr";

function Viewer({ step }: { step: StepView }) {
  const [picked, setPicked] = useState<number | undefined>(undefined);
  const [rank, setRank] = useState(0);
  const [stream, setStream] = useState<Stream>("both");
  const [follow, setFollow] = useState(true);
  const [whole, setWhole] = useState(false);
  const [wanted, setWanted] = useState("");
  const [hit, setHit] = useState(0);
  const attempts = step.attempts.filter((one) => one.job_id);
  const attempt = attempts.find((one) => one.attempt === picked) ?? attempts[attempts.length - 1];
  const jobId = attempt?.job_id ?? "";
  // A job that served several attempts keeps a log of each.
  const shared = attempts.filter((one) => one.job_id === jobId).length > 1;
  const log = useLogs({ jobId, rank, attempt: shared ? attempt?.attempt : undefined, stream, whole });
  const hits = findLines(log.lines, wanted);
  const at = hits.length > 0 ? ((hit % hits.length) + hits.length) % hits.length : 0;

  return (
    <div className="logs">
      <div className="toolbar">
        {attempts.length > 1 && (
          <label>Attempt
            <select value={attempt?.attempt} onChange={(event) => setPicked(Number(event.target.value))}>
              {attempts.map((one) => <option key={one.attempt} value={one.attempt}>{one.attempt}</option>)}
            </select>
          </label>
        )}
        {step.workers > 1 && (
          <label>Rank
            <select value={rank} onChange={(event) => setRank(Number(event.target.value))}>
              {Array.from({ length: step.workers }, (_, index) => <option key={index} value={index}>{index}</option>)}
            </select>
          </label>
        )}
        <label>Stream
          <select value={stream} onChange={(event) => setStream(event.target.value as Stream)}>
            <option value="both">both</option>
            <option value="stdout">stdout</option>
            <option value="stderr">stderr</option>
          </select>
        </label>
        <LogSearch
          wanted={wanted}
          hits={hits.length}
          at={at}
          onWanted={(text) => { setWanted(text); setHit(0); if (text !== "") setFollow(false); }}
          onMove={(by) => setHit(at + by)}
        />
        <label className="check">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.target.checked)} />Follow
        </label>
        <span className="faint number">{plural(log.lines.length, "line")}{log.ended ? "" : ", live"}</span>
      </div>
      {log.error !== undefined && <ErrorNote error={log.error} />}
      {log.cut && !whole && (
        <p className="soft">Only the newest lines are here. <button type="button" className="link" onClick={() => { setWhole(true); setFollow(true); }}>Read from the start</button></p>
      )}
      {log.cut && whole && <p className="soft">The first lines were dropped to keep this page fast. <code>corliss logs</code> prints them all.</p>}
      {log.loading ? <Skeleton lines={8} /> : log.lines.length === 0 ? (
        <Empty title={log.ended ? "This worker printed nothing" : "Nothing printed so far"} />
      ) : (
        <LogLines lines={log.lines} follow={follow} onFollow={setFollow} wanted={wanted} focusRow={hits[at]} />
      )}
    </div>
  );
}

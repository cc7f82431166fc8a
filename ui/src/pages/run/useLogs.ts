// The log of one worker, read page by page. It asks once a second instead of holding a stream open:
// browsers allow six connections per server, and one of them already carries the run's events.
import { useEffect, useState } from "react";
import { jobs, type LogLine, type LogQuery } from "../../api/jobs";
import { cleanLine } from "./logText";

const PAGE_LINES = 1000;
/** A page this full has probably more behind it, whatever the server's own limit is. */
const FULL_PAGE = 200;
const KEPT_LINES = 20_000;
const ASK_MS = 1000;

export interface ShownLine {
  key: number;
  stream: LogLine["stream"];
  text: string;
}

export interface LogState {
  lines: ShownLine[];
  /** Lines before the first one shown exist. */
  cut: boolean;
  ended: boolean;
  loading: boolean;
  error: unknown;
}

const NOTHING: LogState = { lines: [], cut: false, ended: false, loading: true, error: undefined };

interface Source {
  jobId: string;
  rank: number;
  attempt?: number;
  stream: "both" | "stdout" | "stderr";
  /** From the first line instead of the newest ones. */
  whole: boolean;
}

function append(before: ShownLine[], lines: LogLine[]): { lines: ShownLine[]; dropped: boolean } {
  if (lines.length === 0) return { lines: before, dropped: false };
  let key = (before[before.length - 1]?.key ?? -1) + 1;
  const joined = [...before, ...lines.map((line) => ({ key: key++, stream: line.stream, text: cleanLine(line.text) }))];
  const dropped = joined.length > KEPT_LINES;
  return { lines: dropped ? joined.slice(-KEPT_LINES) : joined, dropped };
}

export function useLogs({ jobId, rank, attempt, stream, whole }: Source): LogState {
  const [state, setState] = useState<LogState>(NOTHING);
  const identity = `${jobId} ${rank} ${attempt ?? ""} ${stream} ${whole}`;
  const [shown, setShown] = useState(identity);
  if (shown !== identity) {
    setShown(identity);
    setState(NOTHING);
  }

  useEffect(() => {
    const abort = new AbortController();
    let timer: number | undefined;
    const ask = async (from: number | undefined): Promise<void> => {
      const first = from === undefined;
      const where: LogQuery = first && !whole ? { tail: PAGE_LINES, limit: PAGE_LINES } : { offset: from ?? 0, limit: PAGE_LINES };
      let next = from;
      let wait = ASK_MS;
      try {
        if (!document.hidden) {
          const page = await jobs.logs(jobId, { rank, attempt, stream, ...where }, abort.signal);
          if (abort.signal.aborted) return;
          next = page.next_offset;
          const { ended } = page;
          if (page.lines.length >= FULL_PAGE) wait = 0;
          setState((before) => {
            const { lines, dropped } = append(before.lines, page.lines);
            const cut = before.cut || dropped || (first && !whole && (page.lines[0]?.offset ?? 0) > 0);
            return { lines, cut, ended, loading: false, error: undefined };
          });
          if (ended) return;
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((before) => ({ ...before, loading: false, error }));
        wait = 3 * ASK_MS;
      }
      timer = window.setTimeout(() => void ask(next), wait);
    };
    void ask(undefined);
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [jobId, rank, attempt, stream, whole]);

  return state;
}

// A run as it happens: server-sent events while they flow, polling while they do not.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { runEnded, runs, type RunDetail } from "../../api/runs";
import { asApiError } from "../../api/errors";

const POLL_MS = 2000;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 15_000;

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { window.clearTimeout(timer); resolve(); }, { once: true });
  });

/** True while the page is in view. Hidden tabs give their stream back: browsers allow six per server. */
function useVisible(): boolean {
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const changed = (): void => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, []);
  return visible;
}

export function useLiveRun(id: string) {
  const client = useQueryClient();
  const visible = useVisible();
  const [streaming, setStreaming] = useState(false);
  const query = useQuery({
    queryKey: ["run", id],
    queryFn: () => runs.get(id),
    refetchInterval: ({ state }) => (streaming || (state.data && runEnded(state.data.state)) ? false : POLL_MS),
  });
  const open = query.data !== undefined && !runEnded(query.data.state);

  useEffect(() => {
    if (!open || !visible) return undefined;
    const abort = new AbortController();
    const follow = async (): Promise<void> => {
      let wait = RETRY_MIN_MS;
      while (!abort.signal.aborted) {
        try {
          for await (const event of runs.watch(id, abort.signal)) {
            if (event.event !== "run" || abort.signal.aborted) continue;
            client.setQueryData<RunDetail>(["run", id], JSON.parse(event.data) as RunDetail);
            setStreaming(true);
            wait = RETRY_MIN_MS;
          }
        } catch (error) {
          if (asApiError(error).signedOut) break;
        }
        setStreaming(false);
        if (abort.signal.aborted) return;
        // The stream ends with the run; a last read makes sure that the end was not missed.
        void client.invalidateQueries({ queryKey: ["run", id] });
        await pause(wait, abort.signal);
        wait = Math.min(wait * 2, RETRY_MAX_MS);
      }
    };
    void follow();
    return () => {
      abort.abort();
      setStreaming(false);
    };
  }, [client, id, open, visible]);

  return { ...query, streaming };
}

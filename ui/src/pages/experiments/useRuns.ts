// The rows of the run table, page by page as one scrolls. What is out of sight is neither kept fresh nor drawn.
import { useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import { countRuns } from "../../api/count";
import { tracking, type RunSearch, type TrackingRun } from "../../api/tracking";
import { PAGE, pagesOf } from "./window";

const LIVE_MS = 5000;
const QUIET_MS = 20_000;
/** Pages that nobody looks at are forgotten: ten thousand runs are forty megabytes. */
const KEEP_MS = 60_000;

export interface Runs {
  /** How many there are, as far as is known. */
  total: number;
  /** Whether that is the end of the list. */
  counted: boolean;
  row: (index: number) => TrackingRun | undefined;
  /** The first page; undefined until it is there. */
  first: TrackingRun[] | undefined;
  error: unknown;
  /** What is shown belongs to the search before. */
  busy: boolean;
  retry: () => void;
}

export function useRuns(search: RunSearch, window: [number, number]): Runs {
  const key = [search.experiment, search.filter, search.order ?? "", search.stage];
  const known = useRef(0);
  const pages = pagesOf(window, Math.max(known.current, window[1]));
  const [from, to] = [Math.floor(window[0] / PAGE), Math.floor(window[1] / PAGE)];
  const results = useQueries({
    queries: pages.map((page) => ({
      queryKey: ["runs", ...key, page],
      queryFn: ({ signal }: { signal: AbortSignal }) => tracking.runs(search, page * PAGE, PAGE, signal),
      gcTime: KEEP_MS,
      staleTime: LIVE_MS,
      // Comparing thousands of values to keep equal objects costs more than drawing thirty rows.
      structuralSharing: false,
      refetchInterval: page >= from && page <= to
        ? (query: { state: { data?: { items: TrackingRun[] } } }) => (query.state.data?.items.some((run) => run.state === "running") ? LIVE_MS : QUIET_MS)
        : false as const,
    })),
  });
  const first = results[0];
  const client = useQueryClient();
  const countKey = ["runs-count", ...key];
  const count = useQuery({
    queryKey: countKey,
    queryFn: ({ signal }) => countRuns(search, client.getQueryData<number>(countKey) ?? PAGE * 2, signal),
    enabled: first?.data?.more === true,
    refetchInterval: QUIET_MS,
    staleTime: QUIET_MS,
  });
  const byPage = useMemo(() => new Map(pages.map((page, index) => [page, results[index]?.data?.items])), [pages.join(), ...results.map((one) => one.dataUpdatedAt)]);
  const seen = Math.max(0, ...pages.map((page, index) => page * PAGE + (results[index]?.data?.items.length ?? 0) + (results[index]?.data?.more ? 1 : 0)));
  const total = first?.data?.more === false ? first.data.items.length : count.data ?? seen;
  known.current = total;
  const now: Runs = {
    total,
    counted: first?.data?.more === false || count.data !== undefined,
    row: (index) => byPage.get(Math.floor(index / PAGE))?.[index % PAGE],
    first: first?.data?.items,
    error: results.find((one) => one.isError)?.error ?? undefined,
    busy: first?.isPending ?? true,
    retry: () => results.filter((one) => one.isError).forEach((one) => void one.refetch()),
  };
  // While a new search runs, or is refused, the rows of the last one stay.
  const last = useRef<Runs>(now);
  if (now.first !== undefined) last.current = now;
  return now.first === undefined ? { ...last.current, error: now.error, busy: now.error === undefined, retry: now.retry } : now;
}

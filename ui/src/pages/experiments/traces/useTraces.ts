// The traces that a search finds, page after page as one scrolls. A filter that looks into spans answers pages that may be
// empty, with a token that goes on.
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import { traces, type Trace, type TraceSearch } from "../../../api/traces";

const PAGE = 100;
const LIVE_MS = 3000;
const QUIET_MS = 10_000;
/** So many pages are asked for anew while one looks; of a longer list only whether it has a newer beginning. */
const FRESH_PAGES = 2;
/** Pages without a trace, one after the other, after which nobody asks for the next by scrolling alone. */
const PATIENCE = 5;

export interface Traces {
  rows: Trace[];
  /** Undefined until the first page is there. */
  loaded: boolean;
  /** More may follow. */
  more: boolean;
  /** It looked long and found nothing: whoever wants more says so. */
  tired: boolean;
  next: () => void;
  busy: boolean;
  /** What is shown belongs to the search before. */
  stale: boolean;
  error: unknown;
  retry: () => void;
  /** There are newer traces than the list begins with. */
  newer: boolean;
  renew: () => void;
}

export function useTraces(search: TraceSearch): Traces {
  const client = useQueryClient();
  const key = ["traces", search.experiment, search.filter, search.order ?? ""];
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => traces.search(search, PAGE, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
    refetchInterval: ({ state }) => {
      const pages = state.data?.pages ?? [];
      if (pages.length > FRESH_PAGES) return false;
      return pages.some((page) => page.items.some((one) => one.state === "in_progress")) ? LIVE_MS : QUIET_MS;
    },
    staleTime: LIVE_MS,
    structuralSharing: false,
  });
  const pages = query.data?.pages;
  const rows = useMemo(() => {
    // What came meanwhile moves the pages, so a trace may come twice.
    const byId = new Map((pages ?? []).flatMap((page) => page.items).map((one) => [one.id, one]));
    return [...byId.values()];
  }, [pages]);
  const long = (pages?.length ?? 0) > FRESH_PAGES;
  const newest = useQuery({
    queryKey: ["traces-newest", ...key.slice(1)],
    queryFn: ({ signal }) => traces.search(search, 1, undefined, signal),
    enabled: long && search.order === undefined,
    refetchInterval: QUIET_MS,
    structuralSharing: false,
  });
  const first = newest.data?.items[0];
  const tail = (pages ?? []).slice(-PATIENCE);
  const now: Traces = {
    rows,
    loaded: pages !== undefined,
    more: query.hasNextPage,
    tired: tail.length === PATIENCE && tail.every((page) => page.items.length === 0),
    next: () => { if (!query.isFetching) void query.fetchNextPage(); },
    busy: query.isFetching,
    stale: false,
    error: query.error ?? undefined,
    retry: () => void (query.isFetchNextPageError ? query.fetchNextPage() : query.refetch()),
    newer: long && first !== undefined && rows[0] !== undefined && first.id !== rows[0].id && first.started_ms >= rows[0].started_ms,
    renew: () => void client.resetQueries({ queryKey: key }),
  };
  // While a new search runs, or is refused, the rows of the last one stay.
  const last = useRef(now);
  if (now.loaded) last.current = now;
  return now.loaded || !last.current.loaded ? now : { ...last.current, more: false, newer: false, busy: now.busy, stale: now.error === undefined, error: now.error, retry: now.retry };
}

import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { runs } from "../../api/runs";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { words } from "../../lib/format";
import { RunsTable } from "./RunsTable";

const STATES = [undefined, "running", "succeeded", "failed", "cancelled"];
const PAGE = 50;

export function RunsPage() {
  const { state } = useSearch({ from: "/runs" });
  const query = useInfiniteQuery({
    queryKey: ["runs", state ?? "all"],
    queryFn: ({ pageParam }) => runs.list({ limit: PAGE, state, page_token: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    refetchInterval: 3000,
  });
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <PageHead title="Runs" />
      <div className="filters" role="group" aria-label="Show">
        {STATES.map((one) => (
          <Link key={one ?? "all"} to="/runs" search={{ state: one }} className="filter" activeOptions={{ exact: true, includeSearch: true }}>
            {one ? words(one) : "all"}
          </Link>
        ))}
      </div>
      {query.isPending ? <Skeleton lines={8} /> : query.isError && items.length === 0 ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : items.length === 0 ? (
        <Empty title={state ? `No ${words(state)} runs` : "No run yet"} command={state ? undefined : "corliss run examples/chat/corliss.yaml"}>
          {state ? undefined : "A run takes a project file from data to a deployed model. Start one:"}
        </Empty>
      ) : (
        <RunsTable runs={items} />
      )}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show older runs</button>
      )}
    </>
  );
}

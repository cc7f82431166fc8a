// Who did what to a model, newest first.
import { useInfiniteQuery } from "@tanstack/react-query";
import { models, type ModelEvent } from "../../api/models";
import { ErrorNote, Skeleton } from "../../components/Notice";
import { Panel } from "../../components/Panel";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { told } from "./words";

export function History({ name }: { name: string }) {
  const query = useInfiniteQuery({
    queryKey: ["model", name, "events"],
    queryFn: ({ pageParam }) => models.events(name, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
  });
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="History">
      {query.isPending ? <Skeleton lines={3} /> : query.isError && items.length === 0 ? <ErrorNote error={query.error} retry={() => void query.refetch()} /> : items.length === 0 ? (
        <p className="soft">Nothing is known of what was done before this history was kept.</p>
      ) : (
        <Table<ModelEvent>
          label="History"
          rows={items}
          rowKey={(one) => String(one.sequence)}
          columns={[
            { head: "When", cell: (one) => <Ago at={one.at_ms} /> },
            { head: "Who", cell: (one) => <bdi>{one.actor}</bdi> },
            { head: "What", wide: true, cell: (one) => <bdi>{told(one)}</bdi> },
          ]}
        />
      )}
      {query.hasNextPage && <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more</button>}
    </Panel>
  );
}

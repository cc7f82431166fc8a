import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { tracking } from "../../api/tracking";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";

/** Every experiment; steps log to the one that has their project's name. */
export function ExperimentsPage() {
  const query = useInfiniteQuery({
    queryKey: ["experiments"],
    queryFn: ({ pageParam }) => tracking.experiments(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
    refetchInterval: 5000,
  });
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <PageHead title="Experiments" />
      {query.isPending ? <Skeleton lines={6} /> : query.isError && items.length === 0 ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : items.length === 0 ? (
        <Empty title="No experiment yet" command={'eval "$(corliss env)"'}>
          Anything that logs with the mlflow client appears here once it knows this server:
        </Empty>
      ) : (
        <Table
          label="Experiments"
          rows={items}
          rowKey={(one) => one.id}
          columns={[
            { head: "Experiment", wide: true, cell: (one) => <Link to="/experiments/$experiment" params={{ experiment: one.id }} className="row-link"><b>{one.name}</b></Link> },
            { head: "Id", cell: (one) => one.id, number: true },
            { head: "Changed", cell: (one) => <Ago at={one.updated_ms} /> },
          ]}
        />
      )}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more experiments</button>
      )}
    </>
  );
}

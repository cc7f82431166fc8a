import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { data, type DatasetSummary } from "../../api/data";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { PageHead } from "../../components/PageHead";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { bytes, count, shortId } from "../../lib/format";
import { StoragePanel } from "./StoragePanel";

export function DatasetsPage() {
  const query = useInfiniteQuery({
    queryKey: ["datasets"],
    queryFn: ({ pageParam }) => data.datasets(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    refetchInterval: 5000,
  });
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <PageHead title="Data" />
      {query.isPending ? <Skeleton lines={6} /> : query.isError && items.length === 0 ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : items.length === 0 ? (
        <Empty title="No dataset yet" command="corliss data add ./folder --name NAME">
          A folder named under <code>data:</code> in a project file becomes an immutable version here, stored once. So does one that you add:
        </Empty>
      ) : (
        <Table<DatasetSummary>
          label="Datasets"
          rows={items}
          rowKey={(dataset) => dataset.name}
          columns={[
            { head: "Dataset", wide: true, cell: (dataset) => <Link to="/data/datasets/$name" params={{ name: dataset.name }} className="row-link"><b className="file-name">{dataset.name}</b></Link> },
            { head: "Branch", cell: (dataset) => <span className="ref-name" title={dataset.default_branch}>{dataset.default_branch}</span> },
            { head: "Latest", cell: (dataset) => <Link to="/data/versions/$version" params={{ version: dataset.latest }} className="id" title={dataset.latest}>{shortId(dataset.latest)}</Link> },
            { head: "Versions", cell: (dataset) => count(dataset.versions), number: true },
            { head: "Files", cell: (dataset) => count(dataset.files), number: true },
            { head: "Size", cell: (dataset) => bytes(dataset.size_bytes), number: true },
            { head: "Changed", cell: (dataset) => <Ago at={dataset.updated_ms} /> },
          ]}
        />
      )}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more datasets</button>
      )}
      <StoragePanel />
    </>
  );
}

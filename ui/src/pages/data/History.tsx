// The commits that led to a ref, newest first.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ApiError } from "../../api/errors";
import { data, type Commit } from "../../api/data";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { Table } from "../../components/Table";
import { Ago } from "../../components/Time";
import { bytes, count, shortId } from "../../lib/format";
import { headline, isMerge } from "./words";

const PAGE = 50;

export function History({ dataset, at }: { dataset: string; at: string }) {
  const query = useInfiniteQuery({
    queryKey: ["log", dataset, at],
    queryFn: ({ pageParam }) => data.log(dataset, at, PAGE, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    // Pages count from the newest: a new commit moves all of them, so only a short history is asked for again.
    refetchInterval: (one) => ((one.state.data?.pages.length ?? 0) > 1 ? false : 10_000),
  });
  if (query.isPending) return <Skeleton lines={8} />;
  if (query.error instanceof ApiError && query.error.report.code === "data_no_commit") {
    return <Empty title="A version alone has no history">Choose a branch, a tag or a commit above.</Empty>;
  }
  const commits = query.data?.pages.flatMap((page) => page.items) ?? [];
  if (query.isError && commits.length === 0) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return (
    <>
      <Table<Commit>
        label="History"
        rows={commits}
        rowKey={(commit) => commit.commit}
        columns={[
          { head: "Commit", wide: true, cell: (commit) => <Subject dataset={dataset} commit={commit} /> },
          { head: "Id", cell: (commit) => <code className="id" title={commit.commit}>{shortId(commit.commit)}</code> },
          { head: "By", cell: (commit) => <bdi className="author" title={commit.author}>{commit.author}</bdi> },
          { head: "Files", cell: (commit) => count(commit.files), number: true },
          { head: "Size", cell: (commit) => bytes(commit.size_bytes), number: true },
          { head: "Made", cell: (commit) => <Ago at={commit.created_ms} /> },
          { head: "Files then", cell: (commit) => <Link to="/data/datasets/$name" params={{ name: dataset }} search={{ ref: commit.commit }}>Browse</Link> },
        ]}
      />
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show older commits</button>
      )}
    </>
  );
}

function Subject({ dataset, commit }: { dataset: string; commit: Commit }) {
  return (
    <>
      <Link to="/data/datasets/$name/commits/$commit" params={{ name: dataset, commit: commit.commit }} className="row-link subject">
        <b dir="auto">{headline(commit.message) || <span className="faint">No message</span>}</b>
      </Link>
      {isMerge(commit) && <> <span className="chip chip-brass"><Icon name="merge" />merge</span></>}
    </>
  );
}

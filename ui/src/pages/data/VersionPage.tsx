import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { data, fileAddress, type FileEntry } from "../../api/data";
import { Copy, Id } from "../../components/Command";
import { LineageGraph } from "../../components/dag/LineageGraph";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { CRUMB, PageHead } from "../../components/PageHead";
import { Panel } from "../../components/Panel";
import { Table } from "../../components/Table";
import { bytes, plural, shortId } from "../../lib/format";

export function VersionPage() {
  const { version } = useParams({ from: "/data/versions/$version" });
  const query = useInfiniteQuery({
    queryKey: ["version", version],
    queryFn: ({ pageParam }) => data.version(version, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    // A version never changes.
    staleTime: Infinity,
  });
  const first = query.data?.pages[0];
  const names = first?.names ?? [];
  const over = (
    <>
      <Link {...CRUMB} to="/data">Data</Link>
      {names[0] && <> <span aria-hidden="true">/</span> <Link {...CRUMB} to="/data/$name" params={{ name: names[0] }}>{names[0]}</Link></>}
    </>
  );
  const entries = query.data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <>
      <PageHead
        title={`Version ${shortId(version)}`}
        over={over}
        facts={<>{first && <><span>{plural(first.files, "file")}</span><span>{bytes(first.size_bytes)}</span></>}<span><code className="id whole">{version}</code> <Copy text={version} label="Copy the version's id" /></span></>}
      />
      {query.isPending ? <Skeleton lines={8} /> : query.isError && entries.length === 0 ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} back={{ to: "/data", label: "All data" }} />
      ) : (
        <Panel title="Files">
          {entries.length === 0 ? <Empty title="This version is empty" /> : <Files version={version} entries={entries} />}
          {query.hasNextPage && (
            <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more files</button>
          )}
        </Panel>
      )}
      {first && <Panel title="Lineage"><LineageGraph node={`version:${version}`} /></Panel>}
    </>
  );
}

function Files({ version, entries }: { version: string; entries: FileEntry[] }) {
  return (
    <Table
      label="Files"
      rows={entries}
      rowKey={(entry) => entry.path}
      columns={[
        { head: "Path", wide: true, cell: (entry) => <a href={fileAddress(version, entry.path)} download={entry.path.split("/").pop()}><code>{entry.path}</code></a> },
        { head: "Size", cell: (entry) => bytes(entry.size_bytes), number: true },
        { head: "Content", cell: (entry) => <Id id={entry.blob} short={entry.blob.slice(0, 12)} /> },
        { head: "Mode", cell: (entry) => (entry.executable ? "executable" : <span className="faint">file</span>) },
      ]}
    />
  );
}

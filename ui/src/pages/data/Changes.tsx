// What differs between two versions: in sum, file by file, and one file in full.
import { useInfiniteQuery, useQuery, type UseInfiniteQueryResult, type InfiniteData } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { memo, useEffect, useRef } from "react";
import { data, type ChangeKind, type Diff, type DiffSummary, type FileChange } from "../../api/data";
import { Announce } from "../../components/Announce";
import { FileName } from "../../components/FileName";
import { Icon, type IconName } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import type { Tone } from "../../components/State";
import { TableFrame, TableRows } from "../../components/Table";
import { bytes, count } from "../../lib/format";
import { useHere, type Here } from "../../lib/here";
import { justBefore } from "../../lib/names";
import { FileCompare } from "./FileCompare";
import { CHANGES, delta, diffWords } from "./words";

const PAGE = 200;

const HEADS = [{ head: "Change" }, { head: "File", wide: true }, { head: "Before", number: true }, { head: "After", number: true }, { head: "Difference", number: true }];

interface Props {
  /** Ids of versions or commits: what is read page by page must not move. */
  from: string;
  to: string;
  file: string | undefined;
}

export function Changes({ from, to, file }: Props) {
  const query = useInfiniteQuery({
    queryKey: ["diff", from, to],
    queryFn: ({ pageParam }) => data.diff(from, to, PAGE, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    staleTime: Infinity,
  });
  const first = query.data?.pages[0];
  const box = useRef<HTMLDivElement>(null);
  const before = useRef(file);
  useEffect(() => {
    // What was clicked is gone: the reader goes on here.
    if (before.current !== file) box.current?.focus();
    before.current = file;
  }, [file]);
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div ref={box} tabIndex={-1} className="changes">
      {first === undefined ? (
        query.isError ? <ErrorNote error={query.error} retry={() => void query.refetch()} /> : <Skeleton lines={8} />
      ) : file === undefined ? (
        <Files query={query} items={items} />
      ) : (
        <OneFile from={first.from} to={first.to} path={file} items={items} />
      )}
    </div>
  );
}

function Files({ query, items }: { query: UseInfiniteQueryResult<InfiniteData<Diff>>; items: FileChange[] }) {
  const links = useHere();
  const summary = query.data?.pages[0]?.summary;
  if (items.length === 0) return <Empty title="Nothing differs">Both have the same files with the same bytes.</Empty>;
  return (
    <>
      {summary && <Summary summary={summary} />}
      <Announce text={`${summary ? diffWords(summary) : "Changes"}: ${items.length} listed`} />
      <TableFrame label="Changed files" heads={HEADS}>
        {query.data?.pages.map((page, index) => <Rows key={index} items={page.items} href={links.href} go={links.go} />)}
      </TableFrame>
      {query.hasNextPage && (
        <div className="toolbar">
          <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more files</button>
          <span className="faint number">{count(items.length)}{summary && ` of ${count(summary.added + summary.removed + summary.changed)}`} shown</span>
        </div>
      )}
    </>
  );
}

const LOOKS: Record<ChangeKind, [Tone, IconName]> = {
  added: ["good", "plus"],
  removed: ["bad", "dash"],
  changed: ["wait", "pencil"],
  mode: ["mute", "lock"],
};

export function Kind({ kind }: { kind: ChangeKind }) {
  const [tone, icon] = LOOKS[kind];
  return <span className={`state tone-${tone}`} data-change={kind}><Icon name={icon} />{CHANGES[kind]}</span>;
}

function Summary({ summary }: { summary: DiffSummary }) {
  return (
    <p className="counts change-counts">
      {(["added", "removed", "changed"] as const).map((kind) => {
        const [tone, icon] = LOOKS[kind];
        return <span key={kind} className={`count ${summary[kind] > 0 ? `tone-${tone}` : "faint"}`}><Icon name={icon} />{count(summary[kind])} {CHANGES[kind]}</span>;
      })}
      <span className="faint">{bytes(summary.bytes_old)} before, {bytes(summary.bytes_new)} after</span>
    </p>
  );
}

/** A page that is shown is not drawn again when the next one comes: there may be many. */
const Rows = memo(function Rows({ items, href, go }: Here & { items: FileChange[] }) {
  return (
    <TableRows<FileChange>
      rows={items}
      rowKey={(change) => change.path}
      columns={[
        { head: "Change", cell: (change) => <Kind kind={change.change} /> },
        { head: "File", wide: true, cell: ({ path }) => <a href={href({ file: path })} onClick={go} className="row-link entry"><FileName name={path} /></a> },
        { head: "Before", cell: (change) => (change.old ? bytes(change.old.size_bytes) : <span className="faint">–</span>), number: true },
        { head: "After", cell: (change) => (change.new ? bytes(change.new.size_bytes) : <span className="faint">–</span>), number: true },
        { head: "Difference", cell: (change) => delta(change), number: true },
      ]}
    />
  );
});

/** The change itself, where its page of the list is not here: a page of one that begins with this path. */
async function changeOf(from: string, to: string, path: string): Promise<FileChange | null> {
  const { items } = await data.diff(from, to, 1, justBefore(path));
  return items[0]?.path === path ? items[0] : null;
}

/** One file of two versions. */
function OneFile({ from, to, path, items }: Omit<Props, "file"> & { path: string; items: FileChange[] }) {
  const at = items.findIndex((change) => change.path === path);
  const listed = items[at];
  const query = useQuery({ queryKey: ["change", from, to, path], queryFn: () => changeOf(from, to, path), enabled: listed === undefined });
  const change = listed ?? query.data;
  return (
    <>
      <nav className="toolbar change-nav" aria-label="Changed files">
        <Go to={undefined} icon="left">All changes</Go>
        {at > 0 && <Go to={items[at - 1]?.path}>Previous file</Go>}
        {at >= 0 && at + 1 < items.length && <Go to={items[at + 1]?.path}>Next file</Go>}
      </nav>
      <h3 className="change-title">{change && <Kind kind={change.change} />} <FileName name={path} /></h3>
      {change ? <FileCompare key={path} older={from} newer={to} change={change} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : query.data === null ? <Empty title="This file is the same in both, or in neither" /> : <Skeleton lines={6} />}
    </>
  );
}

function Go({ to, icon, children }: { to: string | undefined; icon?: IconName; children: string }) {
  return (
    <Link to="." search={(before: object) => ({ ...before, file: to })} className="button" resetScroll={false}>
      {icon && <Icon name={icon} />}{children}
    </Link>
  );
}

// The files of a version, folder by folder, and one of them in full. Where one is stands in the address.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useRef, useState, type ReactNode } from "react";
import { data, fileAddress, type FolderItem } from "../../api/data";
import { Announce } from "../../components/Announce";
import { Id } from "../../components/Command";
import { FileName } from "../../components/FileName";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { Table } from "../../components/Table";
import { bytes, count, plural } from "../../lib/format";
import { crumbs, joined, justBefore, nameOf, visible } from "../../lib/names";
import { FileView } from "./FileView";

/** The first page is there at once; who asks for more gets much more. */
const FIRST_PAGE = 200;
const NEXT_PAGES = 1000;

interface Props {
  version: string;
  /** What the outermost folder is called. */
  root: string;
  path: string;
  file: string | undefined;
}

export function FileBrowser({ version, root, path, file }: Props) {
  const place = useRef<HTMLElement>(null);
  const here = file ?? path;
  const before = useRef(here);
  useEffect(() => {
    // What was clicked is gone: the reader goes on at the name of what is shown now.
    if (before.current !== here) place.current?.focus({ preventScroll: true });
    before.current = here;
  }, [here]);
  return (
    <>
      <nav className="crumbs" aria-label="Folder" ref={place} tabIndex={-1}>
        <Here path="">{root}</Here>
        {crumbs(here).map((crumb) => (
          <span key={crumb.path}>
            <span className="faint" aria-hidden="true">/</span>{" "}
            {crumb.path === here ? <b aria-current="page"><FileName name={crumb.name} /></b> : <Here path={crumb.path}><FileName name={crumb.name} /></Here>}
          </span>
        ))}
      </nav>
      {file === undefined ? <Folder key={`${version} ${path}`} version={version} path={path} /> : <FileView key={file} version={version} path={file} />}
    </>
  );
}

/** A link to a folder or file of what this page shows already. */
function Here({ path, file, className, children }: { path: string; file?: string; className?: string; children: ReactNode }) {
  return (
    <Link to="." search={(before: object) => ({ ...before, path: path === "" || file !== undefined ? undefined : path, file })} className={className} activeOptions={{ exact: true, includeSearch: true }}>
      {children}
    </Link>
  );
}

function Folder({ version, path }: { version: string; path: string }) {
  const [start, setStart] = useState("");
  const from = useDeferredValue(start.trim());
  const query = useInfiniteQuery({
    queryKey: ["folder", version, path, from],
    queryFn: ({ pageParam }) => data.folder(version, path, pageParam === undefined ? FIRST_PAGE : NEXT_PAGES, pageParam ?? justBefore(from)),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token ?? undefined,
    // A version never changes.
    staleTime: Infinity,
    placeholderData: (before) => before,
  });
  if (query.isPending) return <Skeleton lines={8} />;
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  if (query.isError && items.length === 0) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const long = query.hasNextPage || items.length > FIRST_PAGE || start !== "";
  return (
    <>
      <Announce text={`${plural(items.length, "name")} of ${path === "" ? "the version" : nameOf(path)}${query.hasNextPage ? ", and more" : ""}`} />
      {long && (
        <div className="toolbar">
          <label>Names from
            <input type="search" data-search placeholder="any (/)" spellCheck={false} value={start} onChange={(event) => setStart(event.target.value)} />
          </label>
          <span className="faint number">{count(items.length)}{query.hasNextPage ? " shown, there are more" : " shown"}</span>
        </div>
      )}
      {items.length === 0 ? <Empty title={start === "" ? "This version has no files" : "No name comes after this"} /> : <Items version={version} path={path} items={items} />}
      {query.isError && <ErrorNote error={query.error} retry={() => void query.fetchNextPage()} />}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more</button>
      )}
    </>
  );
}

function Items({ version, path, items }: { version: string; path: string; items: FolderItem[] }) {
  return (
    <Table<FolderItem>
      label="Files"
      rows={items}
      rowKey={(item) => (item.file ? item.name : `${item.name}/`)}
      columns={[
        { head: "Name", wide: true, cell: (item) => <Named path={joined(path, item.name)} item={item} /> },
        { head: "Files", cell: (item) => (item.file ? <span className="faint">–</span> : count(item.files)), number: true },
        { head: "Size", cell: (item) => bytes(item.size_bytes), number: true },
        { head: "Content", cell: (item) => item.file && <><Id id={item.file.blob} short={item.file.blob.slice(0, 12)} />{item.file.executable && <> <span className="chip">executable</span></>}</> },
        { head: "Get", cell: (item) => item.file && <Download version={version} path={item.file.path} /> },
      ]}
    />
  );
}

function Named({ path, item }: { path: string; item: FolderItem }) {
  return (
    <Here path={path} file={item.file?.path} className="row-link entry">
      <Icon name={item.file ? "file" : "folder"} className={item.file ? "faint" : "tone-brass"} />
      <span className="hidden-text">{item.file ? "File " : "Folder "}</span>
      {item.file ? <FileName name={item.name} /> : <b><FileName name={item.name} /></b>}
    </Here>
  );
}

function Download({ version, path }: { version: string; path: string }) {
  return (
    <a className="button-icon" href={fileAddress(version, path)} download={nameOf(path)} aria-label={`Download ${visible(nameOf(path))}`} title="Download">
      <Icon name="download" />
    </a>
  );
}

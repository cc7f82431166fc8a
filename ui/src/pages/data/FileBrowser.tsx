// The files of a version, folder by folder, and one of them in full. Where one is stands in the address.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useRef, useState, type ReactNode } from "react";
import { data } from "../../api/data";
import { Announce } from "../../components/Announce";
import { FileName } from "../../components/FileName";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { count, plural } from "../../lib/format";
import { useHere, type Here } from "../../lib/here";
import { crumbs, justBefore, nameOf } from "../../lib/names";
import { FileList } from "./FileList";
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
    if (before.current !== here) place.current?.focus();
    before.current = here;
  }, [here]);
  const links = useHere();
  return (
    <>
      <nav className="crumbs" aria-label="Folder" ref={place} tabIndex={-1}>
        <Up links={links} path="">{root}</Up>
        {crumbs(here).map((crumb) => (
          <span key={crumb.path}>
            <span className="faint" aria-hidden="true">/</span>{" "}
            {crumb.path === here ? <b aria-current="page"><FileName name={crumb.name} /></b> : <Up links={links} path={crumb.path}><FileName name={crumb.name} /></Up>}
          </span>
        ))}
      </nav>
      {file === undefined ? <Folder key={`${version} ${path}`} version={version} path={path} /> : <FileView key={`${version} ${file}`} version={version} path={file} />}
    </>
  );
}

/** A link to a folder of what this page shows already. */
function Up({ links, path, children }: { links: Here; path: string; children: ReactNode }) {
  return <a href={links.href({ path, file: undefined })} onClick={links.go}>{children}</a>;
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
      {items.length === 0 ? <Empty title={start === "" ? "This version has no files" : "No name comes after this"} /> : <FileList version={version} path={path} pages={query.data?.pages ?? []} />}
      {query.isError && <ErrorNote error={query.error} retry={() => void query.fetchNextPage()} />}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Show more</button>
      )}
    </>
  );
}

// One file of a version: what it is, and as much of it as can be shown safely.
import { useQuery } from "@tanstack/react-query";
import { data, fileAddress, type FileEntry } from "../../api/data";
import { Copy } from "../../components/Command";
import { Icon } from "../../components/Icon";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { bytes } from "../../lib/format";
import { folderOf, justBefore, nameOf } from "../../lib/names";
import { FilePreview } from "./FilePreview";

/** A page of one, which begins with this name, tells about it without reading the file. */
async function entryOf(version: string, path: string): Promise<FileEntry | null> {
  const name = nameOf(path);
  const { items } = await data.folder(version, folderOf(path), 1, justBefore(name));
  const file = items[0]?.file;
  return file?.path === path ? file : null;
}

export function FileView({ version, path }: { version: string; path: string }) {
  const query = useQuery({ queryKey: ["file", version, path], queryFn: () => entryOf(version, path), staleTime: Infinity });
  if (query.isPending) return <Skeleton lines={8} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  if (query.data === null) return <Empty title="There is no such file here">Another branch or tag may have it. The folders above are still there to look around.</Empty>;
  return (
    <>
      <FileFacts version={version} entry={query.data} />
      <FilePreview version={version} entry={query.data} />
    </>
  );
}

export function FileFacts({ version, entry }: { version: string; entry: FileEntry }) {
  return (
    <div className="toolbar file-facts">
      <span className="number">{bytes(entry.size_bytes)}</span>
      <span>content <code className="id" title={entry.blob}>{entry.blob.slice(0, 16)}</code> <Copy text={entry.blob} label="Copy the content's id" /></span>
      {entry.executable && <span className="chip">executable</span>}
      {entry.link && <span className="chip" title="Its bytes lie in a source and are not stored here">linked</span>}
      <a className="button" href={fileAddress(version, entry.path)} download={nameOf(entry.path)}><Icon name="download" />Download</a>
    </div>
  );
}

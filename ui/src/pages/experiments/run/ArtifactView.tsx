import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asApiError, sentence } from "../../../api/errors";
import { artifactAddress, artifacts, type ArtifactRoot } from "../../../api/artifacts";
import { FileName } from "../../../components/FileName";
import { Icon } from "../../../components/Icon";
import { Empty, ErrorNote, Note, Skeleton } from "../../../components/Notice";
import { Picture } from "../../../components/Picture";
import { TABLE_ROWS, TableView } from "../../../components/TableView";
import { bytes } from "../../../lib/format";
import { folderOf, imageType, nameOf } from "../../../lib/names";
import { HEAD_BYTES, isTable, previewOf } from "./preview";

/** Larger pictures are fetched when asked for. */
const PICTURE_BYTES = 24 * 1024 * 1024;

interface Props {
  root: ArtifactRoot;
  path: string;
}

/** One file: its size, a way to get it, and as much of it as can be shown safely. */
export function ArtifactView({ root, path }: Props) {
  const folder = folderOf(path);
  const listed = useQuery({ queryKey: ["artifacts", root.id, folder], queryFn: () => artifacts.list(root, folder), staleTime: 5000 });
  const size = listed.data?.find((one) => one.path === path)?.size_bytes;
  const type = imageType(path);
  return (
    <>
      <div className="toolbar file-facts">
        <b><FileName name={path} /></b>
        <span className="number">{size === undefined ? "\u00a0" : bytes(size)}</span>
        <a className="button" href={artifactAddress(root, path)} download={nameOf(path)}><Icon name="download" />Download</a>
      </div>
      {isTable(path) ? <TableOf root={root} path={path} /> : type === undefined ? <Read root={root} path={path} /> : size === undefined && listed.isPending ? <Skeleton lines={8} /> : <PictureOf root={root} path={path} type={type} size={size ?? 0} />}
    </>
  );
}

function PictureOf({ root, path, type, size }: Props & { type: string; size: number }) {
  const [asked, setAsked] = useState(size <= PICTURE_BYTES);
  const query = useQuery({ queryKey: ["artifact-picture", root.id, path, size], queryFn: ({ signal }) => artifacts.bytes(root, path, signal), staleTime: 10_000, gcTime: 10_000, enabled: asked });
  if (!asked) return <p><button type="button" className="button" onClick={() => setAsked(true)}>Show the picture ({bytes(size)})</button></p>;
  if (query.isPending) return <Skeleton lines={8} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return <Picture content={query.data} type={type} name={nameOf(path)} />;
}

function Read({ root, path }: Props) {
  const query = useQuery({
    queryKey: ["artifact", root.id, path],
    queryFn: async ({ signal }) => previewOf(path, await artifacts.head(root, path, HEAD_BYTES, signal)),
    staleTime: 10_000,
    gcTime: 10_000,
  });
  if (query.isPending) return <Skeleton lines={10} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const preview = query.data;
  if (preview.kind === "empty") return <Empty title="This file is empty" />;
  if (preview.kind === "none") return <Empty title="No preview">Pictures (PNG, JPEG, GIF, WebP), text, CSV, JSON lines and Parquet are shown here. Download the file to open it elsewhere.</Empty>;
  return (
    <div className="file">
      <pre className="preview-text" tabIndex={0} dir="auto" aria-label="Text of the file">{preview.text}</pre>
      {!preview.whole && <p className="soft">This is the beginning. Download the file to read all of it.</p>}
    </div>
  );
}

/** Rows that the server reads. What has the name of a table and is none is shown as what it is. */
function TableOf({ root, path }: Props) {
  const [offset, setOffset] = useState(0);
  const query = useQuery({
    queryKey: ["artifact-table", root.id, path, offset],
    queryFn: ({ signal }) => artifacts.table(root, path, offset, TABLE_ROWS, signal),
    staleTime: 10_000,
    placeholderData: (before) => before,
  });
  if (query.isPending) return <Skeleton lines={10} />;
  if (query.data) return <TableView table={query.data} busy={query.isPlaceholderData} onOffset={setOffset} />;
  if (asApiError(query.error).status !== 400) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  return <><Note bad={false}>It cannot be read as a table: {sentence(asApiError(query.error).report.message)}</Note><Read root={root} path={path} /></>;
}

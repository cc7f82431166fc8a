// A file as a picture, a text or a table. HTML and SVG are text here: a dataset holds what anybody put into it.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentence } from "../../api/errors";
import type { FileEntry } from "../../api/data";
import { tables, type Preview } from "../../api/tables";
import { Empty, ErrorNote, Note, Skeleton } from "../../components/Notice";
import { TABLE_ROWS, TableView } from "../../components/TableView";
import { bytes } from "../../lib/format";
import { imageType } from "../../lib/names";
import { ImageView } from "./ImageView";

export function FilePreview({ version, entry }: { version: string; entry: FileEntry }) {
  const [offset, setOffset] = useState(0);
  const query = useQuery({
    queryKey: ["preview", version, entry.path, offset],
    queryFn: () => tables.preview(version, entry.path, offset, TABLE_ROWS).then((preview) => preview ?? null),
    // A version never changes.
    staleTime: Infinity,
    placeholderData: (before) => before,
  });
  if (query.isPending) return <Skeleton lines={10} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const preview = query.data;
  if (preview?.kind === "table") return <TableView table={preview} busy={query.isPlaceholderData} onOffset={setOffset} />;
  if (preview?.kind === "text") return <TextView preview={preview} />;
  const type = preview === null || preview.kind === "image" ? imageType(entry.path) : undefined;
  const problem = preview?.kind === "binary" ? preview.problem : undefined;
  return type === undefined ? <NoPreview problem={problem} /> : <ImageView version={version} entry={entry} type={type} />;
}

function NoPreview({ problem }: { problem: string | undefined }) {
  if (problem !== undefined) return <Empty title="No preview">Its name is that of a table, but it cannot be read as one: {sentence(problem)}</Empty>;
  return <Empty title="No preview">Pictures (PNG, JPEG, GIF, WebP), text, CSV, JSON lines and Parquet are shown here. Download the file to open it elsewhere.</Empty>;
}

function TextView({ preview }: { preview: Extract<Preview, { kind: "text" }> }) {
  if (preview.text === "") return <Empty title="This file is empty" />;
  return (
    <div className="file">
      {preview.problem && <Note bad={false}>Shown as text, since it is no table that can be read: {sentence(preview.problem)}</Note>}
      <pre className="preview-text" tabIndex={0} dir="auto" aria-label="Text of the file">{preview.text}</pre>
      {preview.truncated && <p className="soft">This is the beginning. Download the file to read all {bytes(preview.size_bytes)}.</p>}
    </div>
  );
}

// A file as a picture, a text or a table. HTML and SVG are text here: a dataset holds what anybody put into it.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentence } from "../../api/errors";
import type { FileEntry } from "../../api/data";
import { FORMATS, tables, type Preview, type Schema } from "../../api/tables";
import { DataGrid } from "../../components/DataGrid";
import { Empty, ErrorNote, Note, Skeleton } from "../../components/Notice";
import { Table } from "../../components/Table";
import { bytes, count, plural } from "../../lib/format";
import { imageType } from "../../lib/names";
import { ImageView } from "./ImageView";
import { rowsWords } from "./words";

const ROWS = 50;

type TablePreview = Extract<Preview, { kind: "table" }>;

export function FilePreview({ version, entry }: { version: string; entry: FileEntry }) {
  const [offset, setOffset] = useState(0);
  const query = useQuery({
    queryKey: ["preview", version, entry.path, offset],
    queryFn: () => tables.preview(version, entry.path, offset, ROWS).then((preview) => preview ?? null),
    // A version never changes.
    staleTime: Infinity,
    placeholderData: (before) => before,
  });
  if (query.isPending) return <Skeleton lines={10} />;
  if (query.isError) return <ErrorNote error={query.error} retry={() => void query.refetch()} />;
  const preview = query.data;
  if (preview?.kind === "table") return <TableView preview={preview} busy={query.isPlaceholderData} onOffset={setOffset} />;
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

function TableView({ preview, busy, onOffset }: { preview: TablePreview; busy: boolean; onOffset: (offset: number) => void }) {
  const { schema, rows } = preview;
  const types = new Map(schema.columns.map((column) => [column.name, column.type]));
  const next = rows.next_offset;
  const notices = [...new Set([...schema.notices, ...rows.notices].map((notice) => sentence(notice.message)))];
  const hidden = rows.columns_total - rows.columns.length;
  return (
    <>
      <div className="toolbar">
        <span className="chip chip-brass">{FORMATS[preview.format]}</span>
        <span>{plural(rows.columns_total, "column")}</span>
        <span className="number" role="status">{rowsWords(rows.offset, rows.rows.length, rows.rows_total)}</span>
        <span className="pager">
          <button type="button" className="button" disabled={busy || rows.offset === 0} onClick={() => onOffset(Math.max(0, rows.offset - ROWS))}>Previous</button>
          <button type="button" className="button" disabled={busy || next === null} onClick={() => { if (next !== null) onOffset(next); }}>Next</button>
        </span>
      </div>
      {notices.map((notice) => <Note key={notice} bad={false}>{notice}</Note>)}
      {rows.columns.length === 0 ? <Empty title="This table has no columns" /> : (
        <DataGrid
          label="Rows of the table"
          columns={rows.columns.map((name) => ({ name, under: types.get(name), number: isNumber(types.get(name)) }))}
          rows={rows.rows.map((cells, index) => ({ head: count(rows.offset + index + 1), cells }))}
        />
      )}
      {hidden > 0 && <p className="soft">{plural(hidden, "more column")} {hidden === 1 ? "is" : "are"} not shown.</p>}
      <Columns schema={schema} />
    </>
  );
}

function Columns({ schema }: { schema: Schema }) {
  const sampled = schema.sampled_rows === undefined ? "" : ` Types are told from ${plural(schema.sampled_rows, "row")}.`;
  const delimiter = schema.dialect ? ` Cells are separated by ${delimiterName(schema.dialect.delimiter)}; the first row ${schema.dialect.header ? "has the names" : "is data already"}.` : "";
  return (
    <details className="fold">
      <summary>Columns and their types</summary>
      {(sampled + delimiter).trim() !== "" && <p className="soft">{(sampled + delimiter).trim()}</p>}
      <Table
        label="Columns"
        rows={schema.columns}
        rowKey={(column) => column.name}
        columns={[
          { head: "Column", wide: true, cell: (column) => <bdi className="file-name">{column.name}</bdi> },
          { head: "Type", cell: (column) => <code>{column.type}</code> },
          { head: "May be null", cell: (column) => (column.nullable ? "yes" : <span className="faint">no</span>) },
          { head: "Nulls", cell: (column) => (column.nulls === undefined ? <span className="faint">–</span> : count(column.nulls)), number: true },
        ]}
      />
    </details>
  );
}

/** `integer` and `number` of CSV and JSON lines, `int64`, `double` and the like of Parquet. */
const isNumber = (type = ""): boolean => /^(integer|number|u?int\d+|float\d*|double|decimal\(.*\))$/.test(type);

const DELIMITERS: Record<string, string> = { ",": "commas", "\t": "tabs", ";": "semicolons", "|": "pipes" };

const delimiterName = (delimiter: string): string => DELIMITERS[delimiter] ?? `“${delimiter}”`;

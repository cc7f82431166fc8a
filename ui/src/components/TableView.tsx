// A part of a stored table, of any of the formats that the server reads: its rows page by page, its columns and their types.
import { sentence } from "../api/errors";
import { FORMATS, type Schema, type TablePart } from "../api/tables";
import { count, plural, rowsWords } from "../lib/format";
import { DataGrid } from "./DataGrid";
import { Empty, Note } from "./Notice";
import { Table } from "./Table";

/** Rows that are asked for at once. */
export const TABLE_ROWS = 50;

interface Props {
  table: TablePart;
  /** The next part is on its way. */
  busy: boolean;
  onOffset: (offset: number) => void;
}

export function TableView({ table, busy, onOffset }: Props) {
  const { schema, rows } = table;
  const types = new Map(schema.columns.map((column) => [column.name, column.type]));
  const next = rows.next_offset;
  const notices = [...new Set([...schema.notices, ...rows.notices].map((notice) => sentence(notice.message)))];
  const hidden = rows.columns_total - rows.columns.length;
  return (
    <>
      <div className="toolbar">
        <span className="chip chip-brass">{FORMATS[table.format]}</span>
        <span>{plural(rows.columns_total, "column")}</span>
        <span className="number" role="status">{rowsWords(rows.offset, rows.rows.length, rows.rows_total)}</span>
        <span className="pager">
          <button type="button" className="button" disabled={busy || rows.offset === 0} onClick={() => onOffset(Math.max(0, rows.offset - TABLE_ROWS))}>Previous</button>
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

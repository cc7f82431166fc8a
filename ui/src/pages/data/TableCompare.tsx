// Two versions of a table: which columns, rows and cells differ.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { tables, type ChangedCell, type RowExample, type Schema, type TableDiff } from "../../api/tables";
import { Announce } from "../../components/Announce";
import { CellText, DataGrid } from "../../components/DataGrid";
import { Empty, ErrorNote, Skeleton } from "../../components/Notice";
import { Table } from "../../components/Table";
import { count, plural } from "../../lib/format";
import { visible } from "../../lib/names";
import { Kind } from "./Changes";
import { changedTable, guessKey, schemaLines, tableDiffWords } from "./tableDiff";

interface Props {
  from: string;
  to: string;
  path: string;
  schema: Schema;
}

export function TableCompare({ from, to, path, schema }: Props) {
  const [key, setKey] = useState(() => guessKey(schema.columns));
  const query = useQuery({
    queryKey: ["table-diff", from, to, path, key],
    queryFn: () => tables.diff(from, to, path, key).then((diff) => diff ?? null),
    staleTime: Infinity,
    placeholderData: keepPreviousData,
  });
  return (
    <>
      <KeyChoice columns={schema.columns.map((column) => column.name)} chosen={key} onChange={setKey} />
      {query.isPending ? <Skeleton lines={8} /> : query.isError ? (
        <ErrorNote error={query.error} retry={() => void query.refetch()} />
      ) : query.data === null ? (
        <Empty title="This server compares no tables">Download both to compare them elsewhere.</Empty>
      ) : (
        <Differences diff={query.data} />
      )}
    </>
  );
}

interface KeyChoiceProps {
  columns: string[];
  chosen: string[];
  onChange: (key: string[]) => void;
}

/** Which columns tell rows apart. Without any, a row that differs in one cell counts as removed and added. */
function KeyChoice({ columns, chosen, onChange }: KeyChoiceProps) {
  const left = columns.filter((name) => !chosen.includes(name));
  return (
    <div className="toolbar">
      <span className="soft">Rows are told apart by</span>
      {chosen.length === 0 && <span>all of their cells</span>}
      {chosen.map((name) => (
        <span key={name} className="chip chip-brass">
          <bdi>{visible(name)}</bdi>
          <button type="button" className="chip-drop" aria-label={`Do not use ${visible(name)}`} onClick={() => onChange(chosen.filter((one) => one !== name))}>×</button>
        </span>
      ))}
      {left.length > 0 && (
        <select className="key-choice" aria-label="Add a column that tells rows apart" value="" onChange={(event) => onChange([...chosen, event.target.value])}>
          <option value="" disabled>Add a column…</option>
          {left.map((name) => <option key={name} value={name}>{visible(name)}</option>)}
        </select>
      )}
    </div>
  );
}

function Differences({ diff }: { diff: TableDiff }) {
  const lines = schemaLines(diff);
  const columns = diff.columns.map((name) => ({ name }));
  const words = tableDiffWords(diff);
  return (
    <>
      <p>{words}</p>
      <Announce text={words} />
      {lines.length > 0 && (
        <>
          <h3>Columns</h3>
          <Table
            label="Columns that differ"
            rows={lines}
            rowKey={(line) => `${line.change} ${line.name}`}
            columns={[
              { head: "Change", cell: (line) => <Kind kind={line.change} /> },
              { head: "Column", wide: true, cell: (line) => <bdi className="file-name">{visible(line.name)}</bdi> },
              { head: "Before", cell: (line) => (line.old ? <code>{line.old}</code> : <span className="faint">–</span>) },
              { head: "After", cell: (line) => (line.new ? <code>{line.new}</code> : <span className="faint">–</span>) },
            ]}
          />
        </>
      )}
      {diff.changed.length > 0 && <Changed diff={diff} />}
      <Examples title="Rows added" total={diff.rows.added} rows={diff.added} columns={columns} />
      <Examples title="Rows removed" total={diff.rows.removed} rows={diff.removed} columns={columns} />
    </>
  );
}

const shownOf = (shown: number, total: number): string => (shown < total ? `the first ${count(shown)} of ${count(total)}` : count(total));

function Changed({ diff }: { diff: TableDiff }) {
  const { columns, left_out: leftOut, rows } = changedTable(diff.changed);
  return (
    <>
      <h3>Rows changed <span className="faint">{shownOf(diff.changed.length, diff.rows.changed)}</span></h3>
      <DataGrid
        label="Rows changed"
        columns={[...diff.key.map((name) => ({ name, under: "key" })), ...columns.map((name) => ({ name }))]}
        rows={rows.map(({ row, cells }) => ({ head: count(row.new_row + 1), cells: [...row.key, ...cells.map((cell, index) => <ChangedText key={index} cell={cell} />)] }))}
      />
      {leftOut > 0 && <p className="soft">{plural(leftOut, "more column")} with changes {leftOut === 1 ? "is" : "are"} not shown.</p>}
    </>
  );
}

/** What it was, struck through, and what it is; nothing where the cell stayed the same. */
function ChangedText({ cell }: { cell: ChangedCell | undefined }) {
  if (!cell) return <span className="faint"><span aria-hidden="true">·</span><span className="hidden-text">same</span></span>;
  return (
    <span className="cell-change">
      <del><span className="hidden-text">was </span><CellText cell={cell.old} /></del>{" "}
      <ins><span className="hidden-text">is </span><CellText cell={cell.new} /></ins>
    </span>
  );
}

interface ExamplesProps {
  title: string;
  total: number;
  rows: RowExample[];
  columns: { name: string }[];
}

function Examples({ title, total, rows, columns }: ExamplesProps) {
  if (rows.length === 0) return null;
  return (
    <>
      <h3>{title} <span className="faint">{shownOf(rows.length, total)}</span></h3>
      <DataGrid label={title} columns={columns} rows={rows.map((row) => ({ head: `${count(row.row + 1)}${row.count > 1 ? ` (×${count(row.count)})` : ""}`, cells: row.cells }))} />
    </>
  );
}

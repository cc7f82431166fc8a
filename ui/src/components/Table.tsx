import { useRef, type ReactNode } from "react";
import { useEdges } from "../lib/edges";

export interface Column<T> {
  head: string;
  cell: (row: T) => ReactNode;
  /** Right-aligned, with figures of one width. */
  number?: boolean;
  wide?: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
}

const classOf = (column: Pick<Column<unknown>, "number" | "wide">): string | undefined => (column.number ? "number" : column.wide ? "wide" : undefined);

/** A dense table; on a small screen it scrolls by itself, also by keyboard. */
export function Table<T>({ label, columns, rows, rowKey }: Props<T>) {
  return <TableFrame label={label} heads={columns}><TableRows columns={columns} rows={rows} rowKey={rowKey} /></TableFrame>;
}

/** A table without its rows, for lists that add thousands of them page by page: each page is a `TableRows`. */
export function TableFrame({ label, heads, children }: { label: string; heads: Omit<Column<never>, "cell">[]; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  useEdges(box);
  return (
    <div className="table" ref={box} role="group" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>{heads.map((head) => <th key={head.head} scope="col" className={classOf(head)}>{head.head}</th>)}</tr>
        </thead>
        {children}
      </table>
    </div>
  );
}

export function TableRows<T>({ columns, rows, rowKey }: Omit<Props<T>, "label">) {
  return (
    <tbody>
      {rows.map((row) => (
        <tr key={rowKey(row)}>
          {columns.map((column) => <td key={column.head} className={classOf(column)}>{column.cell(row)}</td>)}
        </tr>
      ))}
    </tbody>
  );
}

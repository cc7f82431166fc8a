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

/** A dense table; on a small screen it scrolls by itself, also by keyboard. */
export function Table<T>({ label, columns, rows, rowKey }: Props<T>) {
  const classOf = (column: Column<T>): string | undefined => (column.number ? "number" : column.wide ? "wide" : undefined);
  const box = useRef<HTMLDivElement>(null);
  useEdges(box);
  return (
    <div className="table" ref={box} role="group" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>{columns.map((column) => <th key={column.head} scope="col" className={classOf(column)}>{column.head}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((column) => <td key={column.head} className={classOf(column)}>{column.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

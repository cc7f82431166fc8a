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
  /** What a press on a row opens. A cell must hold a button that does the same, for the keyboard. */
  onOpen?: (row: T) => void;
}

const classOf = (column: Pick<Column<unknown>, "number" | "wide">): string | undefined => (column.number ? "number" : column.wide ? "wide" : undefined);

/** A dense table; on a small screen it scrolls by itself, also by keyboard. */
export function Table<T>({ label, columns, rows, rowKey, onOpen }: Props<T>) {
  return <TableFrame label={label} heads={columns}><TableRows columns={columns} rows={rows} rowKey={rowKey} onOpen={onOpen} /></TableFrame>;
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

export function TableRows<T>({ columns, rows, rowKey, onOpen }: Omit<Props<T>, "label">) {
  // Who marks text to copy it opens nothing.
  const open = (row: T): void => { if (window.getSelection()?.isCollapsed !== false) onOpen?.(row); };
  return (
    <tbody>
      {rows.map((row) => (
        <tr key={rowKey(row)} className={onOpen && "opens"} onClick={onOpen && (() => open(row))}>
          {columns.map((column) => <td key={column.head} className={classOf(column)}>{column.cell(row)}</td>)}
        </tr>
      ))}
    </tbody>
  );
}

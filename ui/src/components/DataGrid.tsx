// Rows of a table that somebody else made: any number of columns, any text, nulls told from empty texts.
import { useRef, type ReactNode } from "react";
import type { Cell } from "../api/tables";
import { useEdges } from "../lib/edges";
import { visible } from "../lib/names";

export interface GridColumn {
  name: string;
  /** Below the name, such as its type. */
  under?: string;
  /** Right-aligned. */
  number?: boolean;
}

interface GridRow {
  /** What stands before the row, such as its number. */
  head: string;
  cells: (Cell | ReactNode)[];
}

interface Props {
  label: string;
  columns: GridColumn[];
  rows: GridRow[];
}

/** Scrolls by itself in both directions, also by keyboard; names and row numbers stay. */
export function DataGrid({ label, columns, rows }: Props) {
  const box = useRef<HTMLDivElement>(null);
  useEdges(box);
  return (
    <div className="table grid" ref={box} role="group" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col"><span className="hidden-text">Row</span></th>
            {columns.map((column, index) => (
              <th key={index} scope="col" title={column.name} className={column.number ? "number" : undefined}>
                <bdi>{visible(column.name)}</bdi>
                {column.under && <span className="grid-under">{column.under}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              <th scope="row">{row.head}</th>
              {row.cells.map((cell, column) => <td key={column} className={columns[column]?.number ? "number" : undefined}>{isCell(cell) ? <CellText cell={cell} /> : cell}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const isCell = (cell: Cell | ReactNode): cell is Cell => typeof cell === "object" && cell !== null && "text" in cell;

export function CellText({ cell }: { cell: Cell }) {
  if (cell.text === null) return <span className="faint grid-null">null</span>;
  if (cell.text === "") return <span className="faint grid-null">empty</span>;
  return (
    <bdi className="grid-text" title={cell.text}>
      {cell.text}{cell.cut && <span className="faint" title="Only the beginning is here">…</span>}
    </bdi>
  );
}

// The difference of two tables as rows to be drawn.
import type { Cell, ChangedCell, ChangedRow, TableColumn, TableDiff } from "../../api/tables";
import { count, plural } from "../../lib/format";

/** Columns of changed cells that a screen has room for. */
const COLUMNS_SHOWN = 40;

/** Where a row of CSV has more cells than there are columns. */
const BEYOND = "beyond the columns";

export interface ChangedTable {
  columns: string[];
  /** Columns with changed cells that are not among `columns`. */
  left_out: number;
  rows: { row: ChangedRow; cells: (ChangedCell | undefined)[] }[];
}

/** One column for each that has a changed cell, those with most changes first. */
export function changedTable(changed: ChangedRow[]): ChangedTable {
  const often = new Map<string, number>();
  const columnOf = (cell: ChangedCell): string => cell.column ?? BEYOND;
  changed.forEach((row) => row.cells.forEach((cell) => often.set(columnOf(cell), (often.get(columnOf(cell)) ?? 0) + 1)));
  const all = [...often].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const columns = all.slice(0, COLUMNS_SHOWN);
  const rows = changed.map((row) => ({
    row,
    cells: columns.map((column) => row.cells.find((cell) => columnOf(cell) === column)),
  }));
  return { columns, left_out: all.length - columns.length, rows };
}

export interface SchemaLine {
  change: "added" | "removed" | "changed";
  name: string;
  old: string;
  new: string;
}

const typeWords = (type: string, nullable: boolean): string => (nullable ? `${type}, may be null` : type);

export function schemaLines({ schema }: Pick<TableDiff, "schema">): SchemaLine[] {
  const one = (change: "added" | "removed") => (column: TableColumn): SchemaLine => {
    const type = typeWords(column.type, column.nullable);
    return { change, name: column.name, old: change === "removed" ? type : "", new: change === "added" ? type : "" };
  };
  return [
    ...schema.added.map(one("added")),
    ...schema.removed.map(one("removed")),
    ...schema.changed.map((column): SchemaLine => ({
      change: "changed",
      name: column.name,
      old: typeWords(column.old_type, column.old_nullable),
      new: typeWords(column.new_type, column.new_nullable),
    })),
  ];
}

/** `1,000 rows became 1,005: 5 added, 1 changed, 999 unchanged. The order differs.` */
export function tableDiffWords(diff: TableDiff): string {
  const { rows } = diff;
  if (diff.same) return `Both have the same ${plural(rows.new, "row")} in the same order.`;
  const parts = ([["added", rows.added], ["removed", rows.removed], ["changed", rows.changed], ["unchanged", rows.unchanged]] as const)
    .filter(([, many]) => many > 0)
    .map(([word, many]) => `${count(many)} ${word}`);
  const first = rows.old === rows.new ? `${plural(rows.new, "row")} in both` : `${plural(rows.old, "row")} became ${count(rows.new)}`;
  const order = rows.reordered ? " The rows come in another order." : "";
  const columns = diff.schema.reordered ? " The columns come in another order." : "";
  return `${first}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}.${order}${columns}`;
}

const KEYS = ["id", "key", "uuid", "guid"];

/** The column that most likely tells rows apart; a wrong guess is refused with a reason and can be changed. */
export function guessKey(columns: TableColumn[]): string[] {
  const found = KEYS.map((key) => columns.find((column) => column.name.toLowerCase() === key)).find((column) => column !== undefined);
  return found ? [found.name] : [];
}

export const cellText = (cell: Cell): string => `${cell.text ?? "null"}${cell.cut ? "…" : ""}`;

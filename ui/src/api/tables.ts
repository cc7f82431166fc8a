// Files of a version as people can look at them: tables, text, images; and what differs between two tables.
import { request, segment } from "./client";
import { ifThere, segments } from "./data";

export type TableFormat = "csv" | "json_lines" | "parquet";

export interface TableColumn {
  name: string;
  type: string;
  nullable: boolean;
  nulls?: number;
}

export interface Notice {
  code: string;
  message: string;
}

export interface Schema {
  format: TableFormat;
  columns: TableColumn[];
  rows: number | null;
  sampled_rows?: number;
  dialect?: { delimiter: string; header: boolean };
  notices: Notice[];
}

/** No text is a null; `cut` says that only the beginning is here. */
export interface Cell {
  text: string | null;
  cut?: boolean;
}

export interface Rows {
  columns: string[];
  columns_total: number;
  offset: number;
  rows: Cell[][];
  rows_total: number | null;
  next_offset: number | null;
  notices: Notice[];
}

/** Some rows of a stored table. */
export interface TablePart {
  size_bytes: number;
  format: TableFormat;
  schema: Schema;
  rows: Rows;
}

export type Preview =
  | ({ kind: "table" } & TablePart)
  | { kind: "text"; size_bytes: number; text: string; truncated: boolean; problem?: string }
  | { kind: "image"; size_bytes: number; media_type: string }
  | { kind: "binary"; size_bytes: number; problem?: string };

export interface ColumnChange {
  name: string;
  old_type: string;
  new_type: string;
  old_nullable: boolean;
  new_nullable: boolean;
}

/** Rows are counted from 0; `count` is how many more of it there are than in the other table. */
export interface RowExample {
  row: number;
  count: number;
  cells: Cell[];
}

export interface ChangedCell {
  column: string | null;
  old: Cell;
  new: Cell;
}

export interface ChangedRow {
  old_row: number;
  new_row: number;
  key: Cell[];
  cells: ChangedCell[];
  cells_changed: number;
}

export interface TableDiff {
  same: boolean;
  schema: { added: TableColumn[]; removed: TableColumn[]; changed: ColumnChange[]; reordered: boolean };
  key: string[];
  compared: string[];
  rows: { old: number; new: number; added: number; removed: number; changed: number; unchanged: number; reordered: boolean };
  columns: string[];
  added: RowExample[];
  removed: RowExample[];
  changed: ChangedRow[];
}

const base = "/api/v1/data";

export const tables = {
  /** Undefined where the server shows no files. */
  preview: (version: string, path: string, offset: number, limit: number) =>
    ifThere(request<Preview>(`${base}/versions/${segment(version)}/preview/${segments(path)}`, { query: { offset, limit } })),
  diff: (from: string, to: string, path: string, key: string[]) =>
    ifThere(request<TableDiff>(`${base}/diff/table`, { query: { from, to, path, key } })),
};

export const FORMATS: Record<TableFormat, string> = { csv: "CSV", json_lines: "JSON lines", parquet: "Parquet" };


import { expect, it } from "vitest";
import type { ChangedRow, TableDiff } from "../../api/tables";
import { cellText, changedTable, guessKey, schemaLines, tableDiffWords } from "./tableDiff";

const cell = (text: string | null) => ({ text });
const row = (...changes: [string | null, string, string][]): ChangedRow => ({
  old_row: 0, new_row: 0, key: [cell("1")], cells_changed: changes.length,
  cells: changes.map(([column, old, now]) => ({ column, old: cell(old), new: cell(now) })),
});
const column = (name: string, type = "string", nullable = false) => ({ name, type, nullable });
const same: TableDiff = {
  same: true, key: [], compared: ["id"], columns: ["id"], added: [], removed: [], changed: [],
  schema: { added: [], removed: [], changed: [], reordered: false },
  rows: { old: 2, new: 2, added: 0, removed: 0, changed: 0, unchanged: 2, reordered: false },
};

it("gives every changed column one place, the busiest first", () => {
  const table = changedTable([row(["score", "1", "2"]), row(["label", "a", "b"], ["score", "3", "4"]), row([null, "x", ""])]);
  expect(table.columns).toEqual(["score", "label", "beyond the columns"]);
  expect(table.rows[1]?.cells.map((one) => one?.new.text)).toEqual(["4", "b", undefined]);
  expect(table.rows[2]?.cells[2]?.old.text).toBe("x");
});

it("leaves columns out that no screen has room for, and counts them", () => {
  const many = Array.from({ length: 45 }, (_, index): [string, string, string] => [`c${index}`, "a", "b"]);
  expect(changedTable([row(...many)])).toMatchObject({ left_out: 5 });
});

it("lists what happened to the columns", () => {
  const schema = {
    added: [column("b", "int64", true)], removed: [column("a")], reordered: false,
    changed: [{ name: "c", old_type: "integer", new_type: "number", old_nullable: false, new_nullable: true }],
  };
  expect(schemaLines({ schema })).toEqual([
    { change: "added", name: "b", old: "", new: "int64, may be null" },
    { change: "removed", name: "a", old: "string", new: "" },
    { change: "changed", name: "c", old: "integer", new: "number, may be null" },
  ]);
});

it("sums a table's difference up", () => {
  expect(tableDiffWords(same)).toBe("Both have the same 2 rows in the same order.");
  const rows = { old: 1000, new: 1005, added: 5, removed: 0, changed: 1, unchanged: 999, reordered: false };
  expect(tableDiffWords({ ...same, same: false, rows })).toBe("1,000 rows became 1,005: 5 added, 1 changed, 999 unchanged.");
  expect(tableDiffWords({ ...same, same: false, rows: { ...same.rows, reordered: true } })).toBe("2 rows in both: 2 unchanged. The rows come in another order.");
});

it("guesses a key by name only", () => {
  expect(guessKey([column("label"), column("ID")])).toEqual(["ID"]);
  expect(guessKey([column("uuid"), column("id")])).toEqual(["id"]);
  expect(guessKey([column("identity")])).toEqual([]);
});

it("tells a null from an empty text and marks what is cut", () => {
  expect([cellText(cell(null)), cellText(cell("")), cellText({ text: "ab", cut: true })]).toEqual(["null", "", "ab…"]);
});

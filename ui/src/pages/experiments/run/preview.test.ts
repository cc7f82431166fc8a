import { expect, it } from "vitest";
import { isTable, previewOf } from "./preview";

const head = (text: string, whole = true) => ({ bytes: new TextEncoder().encode(text), whole });

it("leaves tables to the server", () => {
  for (const path of ["a.parquet", "a.CSV", "b/a.tsv", "a.jsonl"]) expect(isTable(path)).toBe(true);
  for (const path of ["a.json", "csv", "a.csv.gz", "parquet/a.txt"]) expect(isTable(path)).toBe(false);
});

it("shows text, also where a character is cut, and pages as their source", () => {
  const cut = new TextEncoder().encode("aé").slice(0, 2);
  expect(previewOf("a.txt", { bytes: cut, whole: false })).toEqual({ kind: "text", text: "a", whole: false });
  expect(previewOf("a.html", head("<b>x</b>"))).toEqual({ kind: "text", text: "<b>x</b>", whole: true });
  expect(previewOf("a.json", head('{"a":[1]}'))).toEqual({ kind: "text", text: '{\n  "a": [\n    1\n  ]\n}', whole: true });
  expect(previewOf("a.json", head('{"id":12345678901234567890}'))).toMatchObject({ text: '{"id":12345678901234567890}' });
});

it("tells what is no text", () => {
  expect(previewOf("a.bin", head("a\0b"))).toEqual({ kind: "none" });
  expect(previewOf("a.txt", { bytes: new Uint8Array([0xff, 0xfe, 0x61]), whole: true })).toEqual({ kind: "none" });
  expect(previewOf("a.txt", head(""))).toEqual({ kind: "empty" });
});

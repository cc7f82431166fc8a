import { expect, it } from "vitest";
import { parseCsv, separatorOf, toCsv } from "./csv";

it("reads what it wrote, whatever the cells hold", () => {
  const rows = [["a", "b,c", 'say "x"'], ["two\nlines", "", "é"], ["=1+1", "-2", "|"]];
  expect(toCsv(rows.slice(0, 1))).toBe('a,"b,c","say ""x"""\r\n');
  expect(parseCsv(toCsv(rows), ",", 10)).toEqual(rows);
});

it("stops at its limit, and takes a last line without an end", () => {
  expect(parseCsv("a\nb\nc", ",", 2)).toEqual([["a"], ["b"]]);
  expect(parseCsv("a,b\n\n1,2", ",", 9)).toEqual([["a", "b"], ["1", "2"]]);
  expect(parseCsv("", ",", 9)).toEqual([]);
});

it("tells the separator by the first line", () => {
  expect([separatorOf("a\tb\n1,2,3"), separatorOf("a;b"), separatorOf("alone")]).toEqual(["\t", ";", ","]);
});

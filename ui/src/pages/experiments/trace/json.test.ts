import { expect, it } from "vitest";
import { indented } from "./json";

it("indents as everybody does", () => {
  for (const value of [{ a: [1, { b: "x, {y}: \"z\"" }], c: {}, d: [], e: null }, [], {}, "text", 3, [[], [{}]], { deep: { er: { still: [[[]]] } } }]) expect(indented(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
});

it("keeps every digit, and what is no JSON", () => {
  expect(indented('{"id": 12345678901234567890, "x": 1.0}')).toBe('{\n  "id": 12345678901234567890,\n  "x": 1.0\n}');
  expect(indented("NaN")).toBe("NaN");
  expect(indented("{cut")).toBe("{cut");
});

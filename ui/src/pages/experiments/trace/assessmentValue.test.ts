import { expect, it } from "vitest";
import { formOf, read, typedOf } from "./assessmentValue";

it("reads back what it writes", () => {
  for (const value of [true, false, 0, 0.25, "yes", '{"a":1}', { a: [1] }, ["x"]]) expect(read(formOf(value), typedOf(value))).toEqual({ value });
});

it("says what is wrong before the server does", () => {
  for (const [form, typed] of [["number", ""], ["number", "many"], ["number", "Infinity"], ["text", "  "], ["json", "{"], ["json", "null"], ["json", ""]] as const) expect(read(form, typed), `${form} ${typed}`).toHaveProperty("wrong");
  expect(read("number", " 0,5 ")).toEqual({ value: 0.5 });
});

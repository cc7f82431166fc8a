import { expect, it } from "vitest";
import { filterOf, name, narrowed } from "./filter";

it.each([
  ["", ""],
  ["  nightly  ", "run_name ILIKE '%nightly%'"],
  ["adam d8", "run_name ILIKE '%adam%' AND run_name ILIKE '%d8%'"],
  ["it's", "run_name ILIKE '%it''s%'"],
  ["metrics.loss < 0.5", "metrics.loss < 0.5"],
  ["run_name LIKE 'a%'", "run_name LIKE 'a%'"],
  ["tags.x IS NULL", "tags.x IS NULL"],
  ["run_id IN ('a')", "run_id IN ('a')"],
  ["in is like", "run_name ILIKE '%in%' AND run_name ILIKE '%is%' AND run_name ILIKE '%like%'"],
])("%j becomes %j", (typed, filter) => expect(filterOf(typed)).toBe(filter));

it("quotes names that need it, and narrows words and filters alike", () => {
  expect([name("metrics", "loss"), name("params", "val/a b")]).toEqual(["metrics.loss", "params.`val/a b`"]);
  expect(narrowed("adam", "params.x = '1'")).toBe("run_name ILIKE '%adam%' AND params.x = '1'");
  expect(narrowed("", "params.x = '1'")).toBe("params.x = '1'");
});

import { expect, it } from "vitest";
import { asSearch, sameView, tagOf, validName, viewsOf, written } from "./views";

it("reads what it wrote, and leaves out what is no view", () => {
  const state = { q: "metrics.loss < 1", cols: "metrics.loss", sort: "-metrics.loss" };
  const tags = new Map([[tagOf("best"), written(state) ?? ""], [tagOf("broken"), "{"], [tagOf("list"), "[]"], [tagOf("a"), '{"q":5,"other":"x"}'], ["mlflow.note", "x"]]);
  expect(viewsOf(tags)).toEqual([{ name: "a", state: {} }, { name: "best", state }]);
  expect(sameView({ q: "" }, {})).toBe(true);
  expect(sameView(state, { ...state, sort: undefined })).toBe(false);
});

it("takes out of the address what the view has not", () => {
  expect(asSearch({ name: "best", state: { q: "x" } })).toEqual({ q: "x", cols: undefined, sort: undefined, group: undefined, stage: undefined, view: "best" });
});

it("allows names that a tag may have, and no view that is too long for one", () => {
  expect(["best", "Größe 2: a-b_c", "a/b", "a.b", " a", "", "x".repeat(61)].map(validName)).toEqual([true, true, false, false, false, false, false]);
  expect(written({ q: "x".repeat(20_000) })).toBeUndefined();
});

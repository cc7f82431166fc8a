import { expect, test } from "vitest";
import { placeOf } from "./clientLink";

test("links of the mlflow client lead to our pages", () => {
  const run = "0123456789abcdef0123456789abcdef";
  expect(placeOf(`#/experiments/0/runs/${run}`)).toBe(`/experiments/0/runs/${run}`);
  expect(placeOf(`#/experiments/12/runs/${run}/artifacts`)).toBe(`/experiments/12/runs/${run}`);
  expect(placeOf("#/experiments/12")).toBe("/experiments/12");
  expect(placeOf("#/experiments/12?o=1")).toBe("/experiments/12");
  expect(placeOf("#/models/digits/versions/2")).toBe("/models/digits?version=2");
  expect(placeOf("#/models/digits")).toBe("/models/digits");
});

test("anything else is left alone", () => {
  for (const other of ["", "#token=corliss_1", "#/experiments/x", "#//evil.example", "#/models/"]) expect(placeOf(other)).toBeUndefined();
});

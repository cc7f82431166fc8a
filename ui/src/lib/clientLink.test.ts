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

test("links to traces lead to them", () => {
  const trace = `tr-${"0a".repeat(16)}`;
  expect(placeOf("#/experiments/3/traces")).toBe("/experiments/3/traces");
  expect(placeOf(`#/experiments/3/traces?selectedEvaluationId=${trace}`)).toBe(`/experiments/3/traces/${trace}`);
  expect(placeOf(`#/experiments/3/traces?o=1&selectedEvaluationId=${trace}&x=1`)).toBe(`/experiments/3/traces/${trace}`);
  expect(placeOf(`#/experiments/3/traces/${trace}`)).toBe(`/experiments/3/traces/${trace}`);
  expect(placeOf("#/experiments/3/traces?selectedEvaluationId=../..")).toBe("/experiments/3/traces");
});

test("anything else is left alone", () => {
  for (const other of ["", "#token=corliss_1", "#/experiments/x", "#//evil.example", "#/models/"]) expect(placeOf(other)).toBeUndefined();
});

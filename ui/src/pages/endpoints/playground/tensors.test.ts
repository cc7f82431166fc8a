import { expect, it } from "vitest";
import { answerRows, closedShape, formatRequest, jsonProblem } from "./tensors";

it("writes a request that fits the metadata", () => {
  const inputs = [{ name: "pixels", datatype: "FP32", shape: [-1, 64] }, { name: "text", datatype: "BYTES", shape: [1] }, { name: "flag", datatype: "BOOL", shape: [2, 1] }];
  const text = formatRequest({ name: "digits", inputs });
  const parsed = JSON.parse(text) as { inputs: { name: string; shape: number[]; data: unknown[] }[] };
  expect(parsed.inputs.map((one) => one.shape)).toEqual([[1, 64], [1], [2, 1]]);
  expect(parsed.inputs.map((one) => one.data.length)).toEqual([64, 1, 2]);
  expect(parsed.inputs[1]?.data).toEqual([""]);
  expect(parsed.inputs[2]?.data).toEqual([false, false]);
  expect(text.split("\n").every((line) => line.length < 100)).toBe(true);
});

it("writes valid JSON for a model without inputs", () => {
  expect(JSON.parse(formatRequest({ name: "x" }))).toEqual({ inputs: [] });
});

it("closes open sizes only", () => expect(closedShape([-1, 3, -1, 0])).toEqual([1, 3, 1, 0]));

it("says what is wrong with JSON", () => {
  expect(jsonProblem("{}")).toBeUndefined();
  expect(jsonProblem("{")).toMatch(/not valid JSON/);
});

it("marks the greatest value of each row", () => {
  const { rows, left } = answerRows({ name: "p", datatype: "FP32", shape: [2, 2], data: [0.1, 0.9, 0.8, 0.2] });
  expect(rows.map((row) => [row.index, row.top])).toEqual([["0, 0", false], ["0, 1", true], ["1, 0", true], ["1, 1", false]]);
  expect(rows[1]?.bar).toEqual({ from: 0, width: 1 });
  expect(left).toBe(0);
});

it("draws values from zero: what is negative to the left, however large", () => {
  const { rows, zero } = answerRows({ name: "logits", datatype: "FP32", shape: [1, 4], data: [-6, 2, 0, Number.NaN] });
  expect(zero).toBe(0.75);
  expect(rows.slice(0, 3).map((row) => row.bar)).toEqual([{ from: 0, width: 0.75 }, { from: 0.75, width: 0.25 }, { from: 0.75, width: 0 }]);
  expect(answerRows({ name: "none", datatype: "FP32", shape: [2], data: [0, 0] }).rows[0]?.bar).toEqual({ from: 0, width: 0 });
});

it("shows the first values of a large answer and says how many are left", () => {
  const { rows, left } = answerRows({ name: "e", datatype: "FP32", shape: [384], data: new Array<number>(384).fill(0) });
  expect(rows).toHaveLength(64);
  expect(left).toBe(320);
});

import { expect, it } from "vitest";
import { aRun } from "../aRun";
import { extremes, rowsOf } from "./differences";

it("tells what differs, also where a run has no value", () => {
  const rows = rowsOf([
    aRun("a", { params: { lr: "1", same: "x" }, metrics: { loss: 1, nan: Number.NaN }, tags: { "mlflow.user": "u", team: "a" } }),
    aRun("b", { params: { lr: "2", same: "x", only: "y" }, metrics: { loss: 1, nan: Number.NaN } }),
  ]);
  const by = (key: string) => rows.find((row) => row.key === key);
  expect(rows.map((row) => row.key)).toEqual(["State", "lr", "only", "same", "loss", "nan", "team"]);
  expect([by("lr")?.differs, by("same")?.differs, by("only")?.differs, by("loss")?.differs, by("nan")?.differs]).toEqual([true, false, true, false, false]);
});

it("marks ends only where values differ", () => {
  expect(extremes([1, 3, undefined, Number.NaN])).toEqual({ least: 1, most: 3 });
  expect(extremes([2, 2])).toBeUndefined();
  expect(extremes([2, undefined])).toBeUndefined();
});

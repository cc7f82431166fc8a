import { expect, it } from "vitest";
import { aRun } from "../aRun";
import { association, fieldsOf, firstAxes, goalOf, passing, scaleOf, shareOf, telling, ticksOf, type Field } from "./axes";

const runs = [
  aRun("a", { params: { lr: "1e-4", opt: "adam", same: "x" }, metrics: { loss: 1, bad: Number.NaN } }),
  aRun("b", { params: { lr: "0.01", opt: "sgd", same: "x" }, metrics: { loss: 3 } }),
  aRun("c", { params: { lr: "1", opt: "adam", same: "x" } }),
];

const field = (id: string): Field => {
  const found = fieldsOf(runs).find((one) => one.id === id);
  if (!found) throw new Error(id);
  return found;
};

it("takes parameters for numbers where all of them are, and leaves out what no run can show", () => {
  expect(fieldsOf(runs).map((one) => one.id)).toEqual(["params.lr", "params.opt", "params.same", "metrics.loss"]);
  expect(field("params.lr")).toMatchObject({ numeric: true, differs: true, values: [0.0001, 0.01, 1] });
  expect(field("params.opt").numeric).toBe(false);
  expect(field("params.same").differs).toBe(false);
  expect(field("metrics.loss").values).toEqual([1, 3, undefined]);
});

it("lays many powers of ten out evenly", () => {
  const scale = scaleOf(field("params.lr"));
  expect(scale.log).toBe(true);
  expect(shareOf(scale, 0.01)).toBeCloseTo(0.5);
  expect(ticksOf(scale, 5).map((tick) => tick.value)).toEqual([0.0001, 0.001, 0.01, 0.1, 1].map((value) => expect.closeTo(value)));
  expect(scaleOf(field("params.lr"), false).log).toBe(false);
});

it("finds round numbers on a line, and a place for a single value", () => {
  const scale = scaleOf(field("metrics.loss"));
  expect(ticksOf(scale, 4).map((tick) => tick.value)).toEqual([1, 1.5, 2, 2.5, 3]);
  expect(shareOf(scale, 2)).toBe(0.5);
  const single = scaleOf({ ...field("metrics.loss"), values: [5] });
  expect(shareOf(single, 5)).toBe(0.5);
  expect(ticksOf(single, 4).length).toBeGreaterThan(1);
});

it("puts first what goes together with the goal", () => {
  const many = Array.from({ length: 20 }, (_, at) => aRun(String(at), {
    params: { noise: String((at * 7) % 5), lr: String(10 ** -(at / 5)), opt: at % 2 === 0 ? "a" : "b" },
    metrics: { seconds: at % 3, "val/loss": at + (at % 2) * 8, "train/loss": 1 / (at + 1) },
  }));
  const fields = fieldsOf(many);
  expect(goalOf(fields)?.key).toBe("val/loss");
  expect(telling(fields).map((one) => one.key)[0]).toBe("lr");
  const [opt, goal] = [fields.find((one) => one.key === "opt"), goalOf(fields)];
  if (opt && goal) expect(association(opt, goal)).toBeGreaterThan(0.1);
  const hill = many.map((run, at) => ({ ...run, metrics: new Map([["acc", { key: "acc", value: -((at - 10) ** 2), timestamp: 0, step: 0 }]]) }));
  expect(telling(fieldsOf(hill))[0]?.key, "the best in the middle").toBe("lr");
});

it("orders words and finds them", () => {
  const scale = scaleOf(field("params.opt"));
  expect(scale.words).toEqual(["adam", "sgd"]);
  expect([shareOf(scale, "adam"), shareOf(scale, "sgd"), shareOf(scale, "none")]).toEqual([0, 1, undefined]);
});

it("begins with what differs, parameters before metrics", () => {
  expect(firstAxes(fieldsOf(runs))).toEqual(["params.lr", "params.opt", "metrics.loss"]);
});

it("passes what lies in every brush", () => {
  const axes = [{ id: "x", shares: [0, 0.5, undefined] }, { id: "y", shares: [1, 0, 0] }];
  expect(passing(3, axes, new Map())).toEqual([true, true, true]);
  expect(passing(3, axes, new Map([["x", [0, 0.6]]]))).toEqual([true, true, false]);
  expect(passing(3, axes, new Map([["x", [0, 0.6]], ["y", [0.5, 1]]]))).toEqual([true, false, false]);
});

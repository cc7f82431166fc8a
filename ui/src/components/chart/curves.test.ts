import { expect, it } from "vitest";
import type { MetricPoint } from "../../api/tracking";
import { aligned, axisFor, curveOf, extentOf, leftOut, powers, smoothed, summary, valueAt } from "./curves";

const point = (step: number, value: number, timestamp = step * 1000): MetricPoint => ({ key: "loss", step, value, timestamp });

it("sorts, keeps the value logged last for a place, and counts what cannot be drawn", () => {
  const curve = curveOf([point(2, 0.5, 20), point(1, 0.9, 10), point(2, 0.4, 30), point(3, Number.NaN), point(4, Infinity), point(5, -Infinity)], "step");
  expect(curve).toEqual({ x: [1, 2], y: [0.9, 0.4], nans: 1, infinities: 2 });
  expect(leftOut([curve], false)).toBe("Not shown: 1 NaN, 2 infinite");
  expect(leftOut([curveOf([point(0, 0), point(1, 1)], "step")], true)).toBe("Not shown: 1 not above 0");
  expect(leftOut([curveOf([point(0, 0)], "step")], false)).toBeUndefined();
});

it("counts time from the clock or from the run's own beginning", () => {
  const points = [point(0, 1, 5000), point(0, 2, 3000)];
  expect(axisFor(points)).toBe("relative");
  expect(axisFor([point(0, 1)])).toBe("step");
  expect(curveOf(points, "relative").x).toEqual([0, 2]);
  expect(curveOf(points, "time").x).toEqual([3, 5]);
});

it("smooths towards what was there before, and not towards 0", () => {
  expect(smoothed([4, 4, 4], 0.9).map((value) => Number(value.toFixed(9)))).toEqual([4, 4, 4]);
  expect(smoothed([0, 1], 0.5)[1]).toBeCloseTo(2 / 3);
  expect(smoothed([1, 2], 0)).toEqual([1, 2]);
});

it("puts curves over one row of places", () => {
  expect(aligned([{ x: [1, 3], y: [10, 30] }, { x: [2, 3], y: [5, 6] }])).toEqual({ x: [1, 2, 3], rows: [[10, null, 30], [null, 5, 6]] });
  expect(aligned([{ x: [1, 2, 3], y: [1, 2, 3] }], [2, 3]).x).toEqual([2, 3]);
});

it("takes near places for one where there are more than a screen shows, and loses no curve", () => {
  const curves = Array.from({ length: 50 }, (_, run) => ({ x: Array.from({ length: 500 }, (_, at) => at * 50 + run * 0.77), y: Array.from({ length: 500 }, (_, at) => at) }));
  const { x, rows } = aligned(curves);
  expect(x.length).toBeLessThanOrEqual(2401);
  for (const row of rows) expect(row.filter((value) => value !== null).length).toBeGreaterThan(490);
  expect([...x].sort((a, b) => a - b)).toEqual(x);
});

it("tells the value at a place, and none beyond the end of a curve", () => {
  const row = [null, 1, null, 3, null];
  expect([0, 1, 2, 3, 4].map((index) => valueAt(row, index))).toEqual([undefined, 1, 1, 3, undefined]);
});

it("says in a sentence what is drawn", () => {
  const curve = curveOf([point(1, 0.9), point(2, 0.4)], "step");
  expect(extentOf(curve)).toEqual({ count: 2, least: 0.4, most: 0.9, last: 0.4 });
  expect(summary("loss", [{ name: "a", curve }])).toBe("loss: 2 points, from 0.4 to 0.9, last 0.4");
  expect(summary("loss", [{ name: "a", curve }, { name: "b", curve: curveOf([point(1, 2)], "step") }])).toBe("loss: 2 runs, last values from 0.4 (a) to 2 (b)");
  expect(summary("loss", [{ name: "a", curve: curveOf([], "step") }])).toBe("loss: no values yet");
});

it("has a handful of ticks for any number of powers of ten", () => {
  expect(powers(49, 4999)).toEqual([100, 1000]);
  expect(powers(0.1, 1)).toEqual([0.1, 0.2, 0.5, 1]);
  expect(powers(1e-11, 0.01).length).toBeLessThanOrEqual(6);
  expect(powers(0, 1)).toEqual([0]);
});

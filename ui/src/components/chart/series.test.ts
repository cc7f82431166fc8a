import { expect, it } from "vitest";
import type { MetricPoint } from "../../api/tracking";
import { seriesOf, summary } from "./series";

const point = (step: number, value: number, timestamp = step): MetricPoint => ({ key: "loss", step, value, timestamp });

it("sorts by step and keeps the value logged last for a step", () => {
  const series = seriesOf([point(2, 0.5, 20), point(1, 0.9, 10), point(2, 0.4, 30), point(3, Number.NaN, 40)]);
  expect(series).toEqual({ axis: "step", x: [1, 2, 3], y: [0.9, 0.4, null] });
  expect(summary("loss", series)).toBe("loss: 2 points, from 0.4 to 0.9, last 0.4");
});

it("falls back to time when every step is the same", () => {
  expect(seriesOf([point(0, 1, 2000), point(0, 2, 1000)])).toEqual({ axis: "time", x: [1, 2], y: [2, 1] });
});

it("says when there is nothing", () => {
  expect(summary("loss", seriesOf([]))).toBe("loss: no values yet");
});

// From logged points to what a chart draws.
import type { MetricPoint } from "../../api/tracking";
import { metric } from "../../lib/format";

export interface Series {
  /** Steps, or seconds of unix time where the script logs no steps. */
  axis: "step" | "time";
  x: number[];
  /** Null where the value is not finite. */
  y: (number | null)[];
}

/** Sorted, with the last logged value where a step was logged twice (as after a restart). */
export function seriesOf(points: MetricPoint[]): Series {
  const axis = points.some((point) => point.step !== points[0]?.step) || points.length < 2 ? "step" : "time";
  const byX = new Map<number, MetricPoint>();
  for (const point of points) {
    const x = axis === "step" ? point.step : point.timestamp / 1000;
    const before = byX.get(x);
    if (!before || before.timestamp <= point.timestamp) byX.set(x, point);
  }
  const sorted = [...byX.entries()].sort(([a], [b]) => a - b);
  return {
    axis,
    x: sorted.map(([x]) => x),
    y: sorted.map(([, point]) => (Number.isFinite(point.value) ? point.value : null)),
  };
}

/** The chart in a sentence, for those who do not see it. */
export function summary(name: string, series: Series): string {
  const values = series.y.filter((value): value is number => value !== null);
  if (values.length === 0) return `${name}: no values yet`;
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  const last = values[values.length - 1] as number;
  return `${name}: ${values.length} points, from ${metric(least)} to ${metric(most)}, last ${metric(last)}`;
}

// From logged points to what a chart draws: what x is, smoothing, and many curves over one row of x values.
import type { MetricPoint } from "../../api/tracking";
import { metric } from "../../lib/format";

export type XAxis = "step" | "time" | "relative";

export interface Curve {
  x: number[];
  y: number[];
  /** Values that no chart can show. */
  nans: number;
  infinities: number;
}

/**
 * Sorted, with the value logged last where a place has several (as after a restart). Steps are numbers, times are seconds:
 * of the clock, or since the run's first point.
 */
export function curveOf(points: MetricPoint[], axis: XAxis): Curve {
  const first = axis === "relative" ? points.reduce((least, point) => Math.min(least, point.timestamp), Infinity) : 0;
  const placed = new Map<number, MetricPoint>();
  for (const point of points) {
    const x = axis === "step" ? point.step : (point.timestamp - first) / 1000;
    const before = placed.get(x);
    if (!before || before.timestamp <= point.timestamp) placed.set(x, point);
  }
  const curve: Curve = { x: [], y: [], nans: 0, infinities: 0 };
  for (const [x, { value }] of [...placed].sort(([a], [b]) => a - b)) {
    if (Number.isNaN(value)) curve.nans += 1;
    else if (!Number.isFinite(value)) curve.infinities += 1;
    else {
      curve.x.push(x);
      curve.y.push(value);
    }
  }
  return curve;
}

/** Steps unless the script logs none: then all points are of step 0, and only time tells them apart. */
export const axisFor = (points: MetricPoint[]): XAxis =>
  (points.length > 1 && points.every((point) => point.step === points[0]?.step) ? "relative" : "step");

/**
 * Exponential smoothing without a start that pulls towards 0: each value is the mean of those before it, weighted by
 * `weight` to the power of their distance.
 */
export function smoothed(y: number[], weight: number): number[] {
  if (weight <= 0) return y;
  let [sum, weights] = [0, 0];
  return y.map((value) => {
    sum = sum * weight + value;
    weights = weights * weight + 1;
    return sum / weights;
  });
}

export type Row = (number | null)[];

/** How finely x is told apart: more places than a screen has. */
const PLACES = 2400;

/**
 * Curves over one row of x values, with null where one has no value. Runs log at times of their own, so that fifty curves
 * would have a hundred thousand places together; beyond what a screen shows, near places are taken for one.
 */
export function aligned(curves: { x: number[]; y: number[] }[], range?: [number, number]): { x: number[]; rows: Row[] } {
  const inside = (x: number): boolean => range === undefined || (x >= range[0] && x <= range[1]);
  const all = new Set<number>();
  for (const curve of curves) for (const x of curve.x) if (inside(x)) all.add(x);
  let x = [...all].sort((a, b) => a - b);
  let placeOf = (value: number): number => value;
  const [least, most] = [x[0] ?? 0, x[x.length - 1] ?? 0];
  if (x.length > PLACES && most > least) {
    const width = (most - least) / PLACES;
    placeOf = (value) => least + Math.round((value - least) / width) * width;
    x = [...new Set(x.map(placeOf))].sort((a, b) => a - b);
  }
  const indexOf = new Map(x.map((value, index) => [value, index]));
  const rows = curves.map((curve) => {
    const row: Row = new Array<number | null>(x.length).fill(null);
    curve.x.forEach((value, index) => {
      const at = inside(value) ? indexOf.get(placeOf(value)) : undefined;
      if (at !== undefined) row[at] = curve.y[index] ?? null;
    });
    return row;
  });
  return { x, rows };
}

/** The value of a curve at a place, or at the last place before it where it has one. Nothing beyond its end. */
export function valueAt(row: Row, index: number): number | undefined {
  for (let at = index; at >= 0; at -= 1) {
    const value = row[at];
    if (value !== null && value !== undefined) return index === at || row.slice(index + 1).some((one) => one !== null) ? value : undefined;
  }
  return undefined;
}

/** Ticks of an axis of powers of ten: a handful of powers, or with few of them 2 and 5 times each as well. */
export function powers(least: number, most: number): number[] {
  if (!(least > 0) || !(most > least)) return [least];
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const every = Math.max(1, Math.ceil((to - from) / 6));
  const times = to - from <= 2 ? [1, 2, 5] : [1];
  const found: number[] = [];
  for (let power = from; power <= to; power += every) for (const many of times) found.push(Number(`${many}e${power}`));
  return found.filter((value) => value >= least * (1 - 1e-9) && value <= most * (1 + 1e-9));
}

export interface Extent {
  count: number;
  least: number;
  most: number;
  last: number;
}

export function extentOf(curve: Pick<Curve, "y">): Extent | undefined {
  const last = curve.y[curve.y.length - 1];
  if (last === undefined) return undefined;
  let [least, most] = [Infinity, -Infinity];
  for (const value of curve.y) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return { count: curve.y.length, least, most, last };
}

/** The chart in a sentence, for those who do not see it. */
export function summary(name: string, curves: { name: string; curve: Curve }[]): string {
  const shown = curves.flatMap(({ name: run, curve }) => {
    const extent = extentOf(curve);
    return extent ? [{ run, ...extent }] : [];
  });
  const only = shown[0];
  if (!only) return `${name}: no values yet`;
  if (shown.length === 1) return `${name}: ${only.count} points, from ${metric(only.least)} to ${metric(only.most)}, last ${metric(only.last)}`;
  const best = shown.reduce((a, b) => (b.last > a.last ? b : a));
  const worst = shown.reduce((a, b) => (b.last < a.last ? b : a));
  return `${name}: ${shown.length} runs, last values from ${metric(worst.last)} (${worst.run}) to ${metric(best.last)} (${best.run})`;
}

/** What is left out of a chart, in words; nothing where nothing is. */
export function leftOut(curves: Curve[], log: boolean): string | undefined {
  const nans = curves.reduce((sum, one) => sum + one.nans, 0);
  const infinities = curves.reduce((sum, one) => sum + one.infinities, 0);
  const low = log ? curves.reduce((sum, one) => sum + one.y.filter((value) => value <= 0).length, 0) : 0;
  const parts = [nans > 0 && `${nans} NaN`, infinities > 0 && `${infinities} infinite`, low > 0 && `${low} not above 0`].filter(Boolean);
  return parts.length === 0 ? undefined : `Not shown: ${parts.join(", ")}`;
}

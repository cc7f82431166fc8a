// How uPlot draws the curves of a chart: axes, colours of the theme, raw values faint behind smoothed ones.
import type uPlot from "uplot";
import { count, duration, metric } from "../../lib/format";
import { aligned, powers, smoothed, type Curve, type XAxis } from "./curves";
import type { DrawnRun } from "./Legend";

export interface Drawing {
  axis: XAxis;
  smoothing: number;
  logX: boolean;
  logY: boolean;
  range: [number, number] | undefined;
  /** Of charts that go on while they are looked at. */
  live?: Live;
}

interface Live {
  /** The values of the y axis in words. */
  text: (value: number) => string;
  /** What the y axis shows at least, from 0. */
  least: number;
  /** Where it ends, whatever is drawn. */
  most?: number;
}

const positive = (value: number): boolean => value > 0;

/** What uPlot takes: x, then what was logged for each run, then the smoothed curves if there are any. */
export function dataOf(curves: Curve[], { smoothing, logX, logY, range }: Drawing): uPlot.AlignedData {
  const fits = curves.map((curve) => {
    const keep = curve.x.map((x, at) => (!logX || positive(x)) && (!logY || positive(curve.y[at] ?? 0)));
    return { x: curve.x.filter((_, at) => keep[at]), y: curve.y.filter((_, at) => keep[at]) };
  });
  const smooth = smoothing > 0 ? fits.map((curve) => ({ x: curve.x, y: smoothed(curve.y, smoothing) })) : [];
  const { x, rows } = aligned([...fits, ...smooth], range);
  return [x, ...rows];
}

const colours = (): ((name: string) => string) => {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(name).trim();
};

/** `1,200`, `3 m 07 s` or nothing, where uPlot itself writes the time of day. */
export const xText = (axis: XAxis, x: number): string =>
  axis === "step" ? count(x) : axis === "relative" ? duration(x * 1000) : new Date(x * 1000).toLocaleString();

export interface Hooks {
  onCursor: (plot: uPlot) => void;
  onZoom: (range: [number, number] | undefined) => void;
  range: () => [number, number] | undefined;
}

export function optionsOf(runs: DrawnRun[], drawing: Drawing, size: { width: number; height: number }, sync: string, hooks: Hooks): uPlot.Options {
  const colour = colours();
  const axis: uPlot.Axis = { stroke: colour("--ink-3"), font: "11px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const isSmooth = drawing.smoothing > 0;
  const line = (run: DrawnRun, raw: boolean): uPlot.Series => ({
    stroke: colour(run.look.colour),
    dash: raw && isSmooth ? undefined : run.look.dash,
    width: raw && isSmooth ? 1 : 1.7,
    alpha: raw && isSmooth ? 0.22 : 1,
    // Where a run logged nothing others did; where a page read nothing nothing is known.
    spanGaps: drawing.live === undefined,
    // A single point draws no line.
    points: { show: (plot, index) => (raw || isSmooth) && fewPoints(plot, index), filter: drawing.live ? alone : undefined, size: 6, fill: colour(run.look.colour) },
  });
  const log = (on: boolean): uPlot.Scale => (on ? { distr: 3, log: 10 } : {});
  return {
    ...size,
    legend: { show: false },
    // The last time of day stands over the end of its axis.
    padding: [8, drawing.live ? 24 : 10, 0, 0],
    cursor: {
      y: false,
      points: { size: 6 },
      drag: { x: drawing.live === undefined, y: false, setScale: false },
      // The place goes along; a part that is chosen in one chart is its own.
      sync: { key: sync, filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
      bind: { dblclick: () => () => { hooks.onZoom(undefined); return null; } },
    },
    scales: {
      x: { time: drawing.axis === "time", ...log(drawing.logX), range: (_plot, least, most) => rangeOf(hooks.range(), least, most) },
      y: drawing.live ? { range: (_plot, _least, most) => [0, drawing.live?.most ?? Math.max(drawing.live?.least ?? 0, (most ?? 0) * 1.08)] } : log(drawing.logY),
    },
    axes: [
      { ...axis, size: 28, grid: { show: false }, ...powersOn(drawing.logX), ...(drawing.live ? { space: 64, values: (_plot, ticks) => ticks.map(clock) } : drawing.axis === "time" ? {} : { values: (_plot, ticks) => ticks.map((tick) => (tick === null ? "" : shortX(drawing.axis, tick))) }) },
      { ...axis, size: 56, ...powersOn(drawing.logY), values: (_plot, ticks) => ticks.map((tick) => (tick === null ? "" : (drawing.live?.text ?? metric)(tick))) },
    ],
    series: [{}, ...runs.map((run) => line(run, true)), ...(isSmooth ? runs.map((run) => line(run, false)) : [])],
    hooks: {
      setCursor: [hooks.onCursor],
      setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width > 4) hooks.onZoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  };
}

/** An axis of powers of ten has a line for each, not for every tenth of them. */
const powersOn = (on: boolean): uPlot.Axis => (on ? { splits: (_plot, _axis, least, most) => powers(least, most), filter: (_plot, ticks) => ticks } : {});

/** `14:05`, or `14:05:30` within a minute: what is looked at now needs no date. */
function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  return at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: at.getSeconds() === 0 ? undefined : "2-digit" });
}

const shortX = (axis: XAxis, x: number): string => (axis === "relative" ? duration(x * 1000).replace(/\.0 s$/, " s").replace(/ 00 [sm]$/, "") : Math.abs(x) >= 1e6 ? metric(x) : count(x));

function rangeOf(zoom: [number, number] | undefined, least: number | null, most: number | null): [number, number] {
  if (zoom) return zoom;
  if (least === null || most === null) return [0, 1];
  return least === most ? [least - 1, most + 1] : [least, most];
}

/** Values between two gaps, which no line reaches. */
function alone(plot: uPlot, index: number, show: boolean): number[] | null {
  if (show) return null;
  const row = plot.data[index] ?? [];
  const has = (at: number): boolean => row[at] !== null && row[at] !== undefined;
  return Array.from({ length: row.length }, (_, at) => at).filter((at) => has(at) && !has(at - 1) && !has(at + 1));
}

function fewPoints(plot: uPlot, index: number): boolean {
  let seen = 0;
  for (const value of plot.data[index] ?? []) {
    if (value === null || value === undefined) continue;
    seen += 1;
    if (seen > 2) return false;
  }
  return seen > 0;
}

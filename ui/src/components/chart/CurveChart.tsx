// One metric of one or many runs as curves, drawn by uPlot. Dragging zooms; so do + and − around the place that the
// arrow keys move; 0 or a double click shows everything again.
import { useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type uPlot from "uplot";
import type { MetricPoint } from "../../api/tracking";
import { useShownTheme } from "../../lib/theme";
import { axisFor, curveOf, leftOut, summary } from "./curves";
import { Caption } from "./Caption";
import type { DrawnRun } from "./Legend";
import { dataOf, optionsOf, type Drawing } from "./plot";
import type { ChartSettings } from "./settings";
import { Tip } from "./Tip";
import { LastValues } from "./LastValues";
import { moveCursor, placeAfter, usePlot } from "./usePlot";

interface Props {
  name: string;
  runs: DrawnRun[];
  points: Map<string, MetricPoint[]>;
  settings: ChartSettings;
  /** Charts of one key show the same place under the pointer. */
  sync: string;
  height: number;
  zoom: [number, number] | undefined;
  onZoom: (range: [number, number] | undefined) => void;
  onEnlarge?: () => void;
}

export interface Place {
  index: number;
  left: number;
  /** Whether the pointer or the keyboard is at this chart, not at one that it is in step with. */
  here: boolean;
}

export function CurveChart({ name, runs, points, settings, sync, height, zoom, onZoom, onEnlarge }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<Place | undefined>(undefined);
  const id = useId();
  const theme = useShownTheme();
  const axis = settings.axis ?? axisFor([...points.values()].find((one) => one.length > 0) ?? []);
  const curves = useMemo(() => runs.map((run) => curveOf(points.get(run.id) ?? [], axis)), [runs, points, axis]);
  // An axis of powers of ten has no place for a chart without values above 0.
  const logY = settings.logY && curves.some((curve) => curve.y.some((y) => y > 0));
  const logX = settings.logX && axis !== "time" && curves.some((curve) => curve.x.filter((x) => x > 0).length > 1);
  const drawing = useMemo<Drawing>(() => ({ axis, smoothing: settings.smoothing, logX, logY, range: zoom }), [axis, settings.smoothing, logX, logY, zoom]);
  const data = useMemo(() => dataOf(curves, drawing), [curves, drawing]);
  const latest = useRef({ zoom, onZoom });
  latest.current = { zoom, onZoom };
  const shape = `${theme} ${axis} ${logX} ${logY} ${settings.smoothing > 0} ${runs.map((run) => `${run.id}${run.look.colour}${run.look.dash.join()}`).join()}`;

  const plot = usePlot(host, `${shape} ${sync}`, height, data, (size, element) => optionsOf(runs, drawing, size, sync, {
    onCursor: (at) => setPlace(at.cursor.idx === null || at.cursor.idx === undefined ? undefined : { index: at.cursor.idx, left: at.cursor.left ?? 0, here: element.matches(":hover, :focus-visible") }),
    onZoom: (range) => latest.current.onZoom(range),
    range: () => latest.current.zoom,
  }));

  const press = (event: KeyboardEvent): void => {
    const made = plot.current;
    if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!onKey(made, event.key, place?.index, zoom, onZoom)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  const note = leftOut(curves, logY);
  const named = runs.map((run, index) => ({ name: run.name, curve: curves[index] ?? { x: [], y: [], nans: 0, infinities: 0 } }));
  return (
    <figure className="chart">
      <Caption name={name} runs={runs} axis={axis} data={data} place={place} zoomed={zoom !== undefined} onReset={() => onZoom(undefined)} onEnlarge={onEnlarge} />
      <div className="chart-box" style={{ height }}>
        <div ref={host} className="chart-plot" role="group" tabIndex={0} aria-roledescription="chart" aria-label={summary(name, named)} aria-describedby={id} onKeyDown={press} onBlur={() => setPlace(undefined)} />
        {place?.here && runs.length > 1 && <Tip axis={axis} runs={runs} data={data} place={place} width={host.current?.clientWidth ?? 0} smooth={settings.smoothing > 0} />}
        {curves.every((curve) => curve.x.length === 0) && <p className="chart-none faint">{zoom ? "No values in this part" : note ?? "No values yet"}</p>}
      </div>
      {/* Always there, so that a first NaN does not move the page. */}
      <p className="chart-note faint">{note ?? "\u00a0"}</p>
      <LastValues id={id} name={name} runs={named} />
    </figure>
  );
}

/** What a key does to the chart; false where it means nothing. */
function onKey(plot: uPlot, key: string, at: number | undefined, zoom: [number, number] | undefined, onZoom: Props["onZoom"]): boolean {
  const x = plot.data[0];
  const last = x.length - 1;
  const [least, most] = zoom ?? [x[0] ?? 0, x[last] ?? 0];
  const centre = x[at ?? Math.round(last / 2)] ?? (least + most) / 2;
  const to = placeAfter(key, at, last);
  if (to !== undefined) {
    moveCursor(plot, to);
    return true;
  }
  if (key === "+" || key === "=") onZoom([Math.max(least, centre - (most - least) / 4), Math.min(most, centre + (most - least) / 4)]);
  else if (key === "-" || key === "0") onZoom(undefined);
  else return false;
  return true;
}

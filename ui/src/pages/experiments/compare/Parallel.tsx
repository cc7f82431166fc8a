// Every run as a line across axes of its parameters and metrics. Dragging along an axis brushes it: runs outside fade.
import { useMemo, useState } from "react";
import type { TrackingRun } from "../../../api/tracking";
import type { Look } from "../../../components/chart/palette";
import { Empty } from "../../../components/Notice";
import { Announce } from "../../../components/Announce";
import { plural } from "../../../lib/format";
import { useWidth } from "../../../lib/width";
import { firstAxes, passing, scaleOf, shareOf, type Brushes, type Field, type Scale } from "./axes";
import { FieldOptions } from "./FieldChoice";
import { AxisLine, AXIS } from "./AxisLine";

/** Narrower axes would overlap: the drawing scrolls sideways instead. */
const AXIS_MIN_PX = 112;

interface Props {
  runs: TrackingRun[];
  fields: Field[];
  looks: Map<string, Look>;
  axes: string | undefined;
  onChange: (axes: string | undefined) => void;
}

export function Parallel({ runs, fields, looks, axes, onChange }: Props) {
  const [brushes, setBrushes] = useState<Brushes>(() => new Map());
  const chosen = useMemo(() => (axes === undefined ? firstAxes(fields) : axes.split(",")).flatMap((id) => fields.find((field) => field.id === id) ?? []), [axes, fields]);
  const drawn = useMemo(() => chosen.map((field) => {
    const scale = scaleOf(field);
    return { id: field.id, field, scale, shares: field.values.map((value) => shareOf(scale, value)) };
  }), [chosen]);
  const passes = passing(runs.length, drawn, brushes);
  const many = passes.filter(Boolean).length;
  const brush = (id: string, to: [number, number] | undefined): void => setBrushes((before) => {
    const after = new Map(before);
    if (to) after.set(id, to);
    else after.delete(id);
    return after;
  });
  const move = (id: string, by: number): void => {
    const ids = chosen.map((field) => field.id);
    const at = ids.indexOf(id);
    const to = Math.max(0, Math.min(ids.length - 1, at + by));
    ids.splice(to, 0, ...ids.splice(at, 1));
    onChange(ids.join(","));
  };
  const left = fields.filter((field) => !chosen.includes(field));
  if (fields.length < 2) return <Empty title="Nothing to draw">Two values that these runs have make the first picture.</Empty>;
  const says = brushes.size > 0 ? `${many} of ${plural(runs.length, "run")} within the brushes` : `${plural(runs.length, "run")}`;
  return (
    <>
      <div className="toolbar">
        {left.length > 0 && (
          <select className="field-choice" aria-label="Add an axis" value="" onChange={(event) => onChange([...chosen.map((field) => field.id), event.target.value].join(","))}>
            <option value="" disabled>Add an axis…</option>
            <FieldOptions fields={left} />
          </select>
        )}
        <span className="number">{says}</span>
        {brushes.size > 0 && <button type="button" className="link" onClick={() => setBrushes(new Map())}>Remove the brushes</button>}
        <span className="faint">Drag along an axis, or focus it and press ↑ ↓ to move a brush and Shift with them to widen it.</span>
      </div>
      <Announce text={says} />
      <Lines runs={runs} looks={looks} drawn={drawn} passes={passes} brushes={brushes} onBrush={brush} onMove={move} onRemove={(id) => { brush(id, undefined); onChange(chosen.filter((field) => field.id !== id).map((field) => field.id).join(",")); }} />
    </>
  );
}

export interface DrawnAxis {
  id: string;
  field: Field;
  scale: Scale;
  shares: (number | undefined)[];
}

interface LinesProps {
  runs: TrackingRun[];
  looks: Map<string, Look>;
  drawn: DrawnAxis[];
  passes: boolean[];
  brushes: Brushes;
  onBrush: (id: string, to: [number, number] | undefined) => void;
  onMove: (id: string, by: number) => void;
  onRemove: (id: string) => void;
}

function Lines({ runs, looks, drawn, passes, brushes, onBrush, onMove, onRemove }: LinesProps) {
  const [box, room] = useWidth(900);
  const [over, setOver] = useState<string | undefined>(undefined);
  const width = Math.max(room, drawn.length * AXIS_MIN_PX);
  const gap = (width - AXIS.side * 2) / Math.max(1, drawn.length - 1);
  const atX = (index: number): number => (drawn.length === 1 ? width / 2 : AXIS.side + index * gap);
  // What passes is drawn last, and what is under the pointer above all.
  const order = runs.map((_, index) => index).sort((a, b) => Number(passes[a]) - Number(passes[b]) || Number(runs[a]?.id === over) - Number(runs[b]?.id === over));
  return (
    <div className="svg-box svg-scroll" ref={box}>
      <svg width={width} height={AXIS.height} role="group" aria-label="Parallel coordinates">
        {order.map((index) => {
          const run = runs[index];
          const look = run && looks.get(run.id);
          if (!run) return null;
          return (
            <path
              key={run.id}
              className={`svg-line${passes[index] ? "" : " out"}${run.id === over ? " over" : ""}`}
              d={lineOf(drawn.map((axis, at) => [atX(at), axis.shares[index]]))}
              stroke={`var(${look?.colour ?? "--ink-3"})`}
              strokeDasharray={look?.dash.join(" ")}
              onPointerEnter={() => setOver(run.id)}
              onPointerLeave={() => setOver(undefined)}
            >
              <title>{run.name}</title>
            </path>
          );
        })}
        {drawn.map((axis, at) => (
          <AxisLine key={axis.id} axis={axis} x={atX(at)} first={at === 0} last={at === drawn.length - 1} room={gap} brush={brushes.get(axis.id)} onBrush={(to) => onBrush(axis.id, to)} onMove={(by) => onMove(axis.id, by)} onRemove={() => onRemove(axis.id)} />
        ))}
      </svg>
      <p className="svg-says">{over === undefined ? "\u00a0" : <b>{runs.find((run) => run.id === over)?.name}</b>}</p>
    </div>
  );
}

/** A line over the axes on which the run has a value; it is broken where it has none. */
function lineOf(points: [number, number | undefined][]): string {
  let path = "";
  let pen = false;
  for (const [x, share] of points) {
    if (share === undefined) pen = false;
    else {
      path += `${pen ? "L" : "M"}${x.toFixed(1)} ${AXIS.y(share).toFixed(1)}`;
      // A value alone among gaps is a dot.
      if (!pen) path += "h0.01";
      pen = true;
    }
  }
  return path;
}

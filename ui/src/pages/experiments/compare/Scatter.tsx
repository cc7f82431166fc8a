// One value of runs against another. Every point is a link to its run.
import { useRouter } from "@tanstack/react-router";
import { useMemo, useState, type MouseEvent } from "react";
import type { TrackingRun } from "../../../api/tracking";
import type { Look } from "../../../components/chart/palette";
import { Empty } from "../../../components/Notice";
import { metric } from "../../../lib/format";
import { useWidth } from "../../../lib/width";
import { runPath } from "../RunRow";
import { goalOf, scaleOf, shareOf, telling, ticksOf, type Field, type Scale } from "./axes";
import { FieldChoice } from "./FieldChoice";

const HEIGHT = 440;
/** Between the outermost points and the frame. */
const INSET = 14;
const PAD = { left: 76, right: 22, top: 16, bottom: 48 };

interface Props {
  runs: TrackingRun[];
  fields: Field[];
  looks: Map<string, Look>;
  x: string | undefined;
  y: string | undefined;
  onChange: (change: Record<string, string | undefined>) => void;
}

export function Scatter({ runs, fields, looks, x, y, onChange }: Props) {
  const [logs, setLogs] = useState<{ x?: boolean; y?: boolean }>({});
  const { first, goal } = useMemo(() => ({ first: telling(fields).find((field) => field.numeric) ?? telling(fields)[0], goal: goalOf(fields) }), [fields]);
  const fieldX = fields.find((field) => field.id === x) ?? first ?? fields[0];
  const fieldY = fields.find((field) => field.id === y) ?? goal ?? fields.find((field) => field !== fieldX) ?? fields[0];
  if (!fieldX || !fieldY) return <Empty title="Nothing to draw">These runs have neither parameters nor metrics.</Empty>;
  const scales = { x: scaleOf(fieldX, logs.x), y: scaleOf(fieldY, logs.y) };
  const left = runs.filter((_, index) => fieldX.values[index] === undefined || fieldY.values[index] === undefined).length;
  return (
    <>
      <div className="toolbar">
        <FieldChoice label="Across" fields={fields} value={fieldX.id} onChange={(id) => { setLogs({ ...logs, x: undefined }); onChange({ x: id }); }} />
        <Log field={fieldX} scale={scales.x} onChange={(on) => setLogs({ ...logs, x: on })} />
        <FieldChoice label="Up" fields={fields} value={fieldY.id} onChange={(id) => { setLogs({ ...logs, y: undefined }); onChange({ y: id }); }} />
        <Log field={fieldY} scale={scales.y} onChange={(on) => setLogs({ ...logs, y: on })} />
        {left > 0 && <span className="faint">{left} without a finite value for both</span>}
      </div>
      <Plot runs={runs} looks={looks} fields={{ x: fieldX, y: fieldY }} scales={scales} />
    </>
  );
}

function Log({ field, scale, onChange }: { field: Field; scale: Scale; onChange: (on: boolean) => void }) {
  const can = field.numeric && field.values.every((value) => typeof value !== "number" || value > 0);
  return <label className="check"><input type="checkbox" disabled={!can} checked={scale.log} onChange={(event) => onChange(event.target.checked)} />log</label>;
}

interface PlotProps {
  runs: TrackingRun[];
  looks: Map<string, Look>;
  fields: { x: Field; y: Field };
  scales: { x: Scale; y: Scale };
}

function Plot({ runs, looks, fields, scales }: PlotProps) {
  const [box, width] = useWidth(700);
  const router = useRouter();
  const [over, setOver] = useState<number | undefined>(undefined);
  const atX = (share: number): number => PAD.left + INSET + share * (width - PAD.left - PAD.right - INSET * 2);
  const atY = (share: number): number => HEIGHT - PAD.bottom - INSET - share * (HEIGHT - PAD.top - PAD.bottom - INSET * 2);
  const open = (event: MouseEvent, run: TrackingRun): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    router.history.push(runPath(run));
  };
  const shown = over === undefined ? undefined : runs[over];
  return (
    <div className="svg-box" ref={box}>
      <svg width={width} height={HEIGHT} role="group" aria-label={`${fields.y.key} against ${fields.x.key}`}>
        {ticksOf(scales.y, 6).map(({ value, share }) => (
          <g key={String(value)}><path className="svg-grid" d={`M${PAD.left} ${atY(share)}H${width - PAD.right}`} /><text className="svg-tick" x={PAD.left - 8} y={atY(share) + 4} textAnchor="end">{tick(value)}</text></g>
        ))}
        {ticksOf(scales.x, Math.max(2, Math.floor(width / 130))).map(({ value, share }) => (
          <g key={String(value)}><path className="svg-grid" d={`M${atX(share)} ${PAD.top}V${HEIGHT - PAD.bottom}`} /><text className="svg-tick" x={atX(share)} y={HEIGHT - PAD.bottom + 17} textAnchor="middle">{tick(value)}</text></g>
        ))}
        <text className="svg-title" x={(PAD.left + width) / 2} y={HEIGHT - 8} textAnchor="middle">{fields.x.key}</text>
        <text className="svg-title" transform={`translate(13 ${HEIGHT / 2}) rotate(-90)`} textAnchor="middle">{fields.y.key}</text>
        {runs.map((run, index) => {
          const [x, y] = [shareOf(scales.x, fields.x.values[index]), shareOf(scales.y, fields.y.values[index])];
          if (x === undefined || y === undefined) return null;
          const says = `${run.name}: ${fields.x.key} ${tick(fields.x.values[index])}, ${fields.y.key} ${tick(fields.y.values[index])}`;
          return (
            <a key={run.id} href={runPath(run)} aria-label={says} onClick={(event) => open(event, run)} onPointerEnter={() => setOver(index)} onPointerLeave={() => setOver(undefined)} onFocus={() => setOver(index)} onBlur={() => setOver(undefined)}>
              <Dot x={atX(x)} y={atY(y)} look={looks.get(run.id)} />
            </a>
          );
        })}
      </svg>
      <p className="svg-says number" aria-hidden="true">{shown && over !== undefined ? <><b>{shown.name}</b> · {fields.x.key} {tick(fields.x.values[over])} · {fields.y.key} {tick(fields.y.values[over])}</> : "\u00a0"}</p>
    </div>
  );
}

const tick = (value: string | number | undefined): string => (typeof value === "number" ? metric(value) : (value ?? "–"));

/** Runs that a line would tell apart by dashes have marks of another shape. */
function Dot({ x, y, look }: { x: number; y: number; look: Look | undefined }) {
  const colour = `var(${look?.colour ?? "--ink-3"})`;
  const shape = look?.dash.length === 0 ? <circle cx={x} cy={y} r={6} /> : look?.dash[0] === 6 ? <rect x={x - 5.5} y={y - 5.5} width={11} height={11} /> : <path d={`M${x} ${y - 7}l7 12h-14z`} />;
  return <g className="svg-dot" fill={colour}><circle cx={x} cy={y} r={13} fill="transparent" stroke="none" />{shape}</g>;
}

// One axis of the parallel coordinates, with its brush: by pointer or by arrow keys.
import { useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { metric } from "../../../lib/format";
import { ticksOf, type Scale } from "./axes";
import type { DrawnAxis } from "./Parallel";

const TOP = 58;
const BOTTOM = 30;
const HEIGHT = 460;

export const AXIS = { height: HEIGHT, side: 64, y: (share: number): number => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM) };

const shareAt = (y: number): number => Math.max(0, Math.min(1, (HEIGHT - BOTTOM - y) / (HEIGHT - TOP - BOTTOM)));

const KEY_STEP = 0.05;

interface Props {
  axis: DrawnAxis;
  x: number;
  first: boolean;
  last: boolean;
  /** To the next axis, in pixels. */
  room: number;
  brush: [number, number] | undefined;
  onBrush: (to: [number, number] | undefined) => void;
  onMove: (by: number) => void;
  onRemove: () => void;
}

export function AxisLine({ axis, x, first, last, room, brush, onBrush, onMove, onRemove }: Props) {
  const { scale, field } = axis;
  const [from, setFrom] = useState<number | undefined>(undefined);
  const line = useRef<SVGGElement>(null);
  const shareOfEvent = (event: PointerEvent): number => shareAt(event.clientY - (line.current?.ownerSVGElement?.getBoundingClientRect().top ?? 0));
  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setFrom(shareOfEvent(event));
  };
  const drag = (event: PointerEvent): void => {
    if (from === undefined) return;
    const to = shareOfEvent(event);
    if (Math.abs(to - from) > 0.01) onBrush([Math.min(from, to), Math.max(from, to)]);
  };
  const up = (event: PointerEvent): void => {
    // A press without a drag takes the brush away.
    if (from !== undefined && Math.abs(shareOfEvent(event) - from) <= 0.01) onBrush(undefined);
    setFrom(undefined);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Escape") onBrush(undefined);
    else if (event.key === "ArrowLeft") onMove(-1);
    else if (event.key === "ArrowRight") onMove(1);
    else if (event.key === "Delete") onRemove();
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") onBrush(brushAfter(brush, event.key === "ArrowUp" ? KEY_STEP : -KEY_STEP, event.shiftKey));
    else return;
    event.preventDefault();
  };
  return (
    <g
      ref={line}
      className="svg-axis"
      transform={`translate(${x} 0)`}
      role="slider"
      tabIndex={0}
      aria-label={`${field.entity === "metrics" ? "Metric" : "Parameter"} ${field.key}`}
      aria-orientation="vertical"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round((brush?.[1] ?? 1) * 100)}
      aria-valuetext={brush ? `from ${textAt(scale, brush[0])} to ${textAt(scale, brush[1])}` : "no brush"}
      onKeyDown={press}
    >
      <text className="svg-axis-name" y={16} textAnchor={first ? "start" : last ? "end" : "middle"} x={first ? -56 : last ? 56 : 0}><title>{axis.id}</title>{fitted(field.key, room)}</text>
      <g className="svg-axis-tools" transform="translate(0 36)">
        <Tool x={-22} text="←" says={`Move ${field.key} to the left`} off={first} onPress={() => onMove(-1)} />
        <Tool x={0} text="×" says={`Remove the axis ${field.key}`} off={false} onPress={onRemove} />
        <Tool x={22} text="→" says={`Move ${field.key} to the right`} off={last} onPress={() => onMove(1)} />
      </g>
      <path className="svg-axis-line" d={`M0 ${AXIS.y(0)}V${AXIS.y(1)}`} />
      {ticksOf(scale, 6).map(({ value, share }) => (
        <g key={String(value)}>
          <path className="svg-axis-line" d={`M-4 ${AXIS.y(share)}h8`} />
          <text className="svg-tick svg-halo" x={last ? -8 : 8} y={AXIS.y(share) + 4} textAnchor={last ? "end" : "start"}>{typeof value === "number" ? metric(value) : fitted(value, room - 20)}</text>
        </g>
      ))}
      {brush && <rect className="svg-brush" x={-9} width={18} y={AXIS.y(brush[1])} height={Math.max(3, AXIS.y(brush[0]) - AXIS.y(brush[1]))} />}
      <rect className="svg-grip" x={-16} y={TOP - 8} width={32} height={HEIGHT - TOP - BOTTOM + 16} onPointerDown={down} onPointerMove={drag} onPointerUp={up} onPointerCancel={up} />
    </g>
  );
}

function Tool({ x, text, says, off, onPress }: { x: number; text: string; says: string; off: boolean; onPress: () => void }) {
  if (off) return null;
  // By keyboard the axis itself takes ←, → and Delete.
  return <text x={x} textAnchor="middle" className="svg-tool" onClick={onPress}><title>{says}</title>{text}</text>;
}

const fitted = (text: string, room: number): string => {
  const most = Math.max(6, Math.floor(room / 7));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
};

/** Moves a brush, or with `widen` its nearer edge; the first press makes one of the upper or lower half. */
function brushAfter(brush: [number, number] | undefined, by: number, widen: boolean): [number, number] {
  if (!brush) return by > 0 ? [0.5, 1] : [0, 0.5];
  const [low, high] = brush;
  if (widen) return by > 0 ? [low, Math.min(1, high + by)] : [Math.max(0, low + by), high];
  const shift = Math.max(-low, Math.min(1 - high, by));
  return [low + shift, high + shift];
}

function textAt(scale: Scale, share: number): string {
  if (scale.words.length > 0) return scale.words[Math.round(share * (scale.words.length - 1))] ?? "";
  return metric(scale.log ? scale.least * (scale.most / scale.least) ** share : scale.least + share * (scale.most - scale.least));
}

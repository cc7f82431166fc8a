// Where on the axis of a waterfall a span lies, and what stands below it.

/** The part of a trace that is shown, in microseconds since it began. */
export type Part = [from_us: number, to_us: number];

const UNITS: [name: string, us: number][] = [["µs", 1], ["ms", 1000], ["s", 1_000_000]];

/** A span of time to three digits: `850 µs`, `1.2 ms`, `340 ms`, `4.25 s`, `3 m 07 s`, `2 h 05 m`. */
export function fine(us: number): string {
  if (!Number.isFinite(us) || us < 0) return "–";
  const seconds = Math.round(us / 1e6);
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} m`;
  if (us >= 59_950_000) return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
  // 999.6 µs would round to "1000 µs".
  const [name, unit] = UNITS.find(([, size]) => us < 999.5 * size) ?? ["s", 1_000_000];
  const value = us / unit;
  return `${Number(value.toPrecision(3))} ${name}`;
}

/** Where a span lies in the part that is shown, as shares of its width; undefined where it lies beside it. */
export function barOf(start_us: number, end_us: number, [from, to]: Part): { left: number; width: number } | undefined {
  if (end_us < from || start_us > to) return undefined;
  const length = Math.max(to - from, Number.EPSILON);
  const left = Math.max(0, (start_us - from) / length);
  return { left, width: Math.min(1, (end_us - from) / length) - left };
}

/** Round places on the axis, about as many as have room. */
export function ticks([from, to]: Part, room: number): number[] {
  const length = to - from;
  if (length <= 0 || room < 1) return [from];
  const rough = length / room;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}

/** A part around a span, a little wider than it. */
export function around(start_us: number, end_us: number, length_us: number): Part {
  const margin = Math.max((end_us - start_us) * 0.1, 0.5);
  return [Math.max(0, start_us - margin), Math.min(Math.max(length_us, end_us), end_us + margin)];
}

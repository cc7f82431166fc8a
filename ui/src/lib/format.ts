// Numbers, sizes and times as people read them. Pure: the current time is an argument.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in at most two units: `340 ms`, `4.2 s`, `3 m 07 s`, `2 h 05 m`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return "–";
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  // 59.95 s and more would round to "60.0 s".
  if (ms < 59_950) return `${(ms / SECOND).toFixed(1)} s`;
  const seconds = Math.round(ms / SECOND);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${pad(seconds % 60)} s`;
  const minutes = Math.round(ms / MINUTE);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} m`;
  const hours = Math.round(ms / HOUR);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** How long ago: `just now`, `40 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; `in 40 s` for the future. */
export function ago(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 5 * SECOND) return "just now";
  const span =
    distance < MINUTE ? `${Math.floor(distance / SECOND)} s`
    : distance < HOUR ? `${Math.floor(distance / MINUTE)} min`
    : distance < DAY ? `${Math.floor(distance / HOUR)} h`
    : `${Math.floor(distance / DAY)} d`;
  return at > now ? `in ${span}` : `${span} ago`;
}

/** Local date and time to the second with the zone, for titles. */
export function absolute(at: number): string {
  return new Date(at).toLocaleString(undefined, {
    year: "numeric", month: "short", day: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  });
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes in binary units with three significant digits. */
export function bytes(count: number): string {
  if (!Number.isFinite(count) || count < 0) return "–";
  let value = count;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${trimZeros(value.toFixed(digits))} ${UNITS[unit]}`;
}

const trimZeros = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/** Thousandths of a CPU as CPUs. */
export const cpus = (milli: number): string => trimZeros((milli / 1000).toFixed(2));

/** A metric to four significant digits; very small and very large ones in exponent form. */
export function metric(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return trimZeros(value.toPrecision(4));
}

export const count = (value: number): string => value.toLocaleString("en-US");

/** `1 worker`, `2 workers`. */
export const plural = (value: number, noun: string, many = `${noun}s`): string =>
  `${count(value)} ${value === 1 ? noun : many}`;

/** The tail of an id, enough to tell ids apart: `run_…k3f9q2`. The full id belongs in a title. */
export function shortId(id: string): string {
  const underscore = id.indexOf("_");
  const prefix = underscore > 0 && underscore < 6 ? id.slice(0, underscore + 1) : "";
  const body = id.slice(prefix.length);
  return body.length <= 8 ? id : `${prefix}…${body.slice(-6)}`;
}

/** `out_of_memory` as `out of memory`. */
export const words = (code: string): string => code.replaceAll("_", " ");

export interface Amounts {
  cpu_milli: number;
  memory_bytes: number;
  accelerators: number;
}

/** `1 CPU, 2 GiB` or `4 CPUs, 16 GiB, 1 accelerator`. */
export function resources(need: Amounts): string {
  const parts: string[] = [];
  if (need.cpu_milli > 0) parts.push(`${cpus(need.cpu_milli)} ${need.cpu_milli === 1000 ? "CPU" : "CPUs"}`);
  if (need.memory_bytes > 0) parts.push(bytes(need.memory_bytes));
  if (need.accelerators > 0) parts.push(plural(need.accelerators, "accelerator"));
  return parts.length > 0 ? parts.join(", ") : "nothing";
}

/** `Rows 51–100 of 1,000`. Counted from 1, as people count. */
export function rowsWords(offset: number, shown: number, total: number | null): string {
  if (shown === 0) return offset === 0 ? "No rows" : "No more rows";
  return `Rows ${count(offset + 1)}–${count(offset + shown)}${total === null ? "" : ` of ${count(total)}`}`;
}

/** Hours of something, with as many digits as are read: `0`, `0.0025`, `1.23`, `12.3`, `1,234`. */
export function hours(value: number): string {
  if (!Number.isFinite(value) || value < 0) return "–";
  if (value === 0) return "0";
  return value < 0.1 ? trimZeros(value.toPrecision(2)) : value < 10 ? trimZeros(value.toFixed(2)) : value < 100 ? trimZeros(value.toFixed(1)) : count(Math.round(value));
}

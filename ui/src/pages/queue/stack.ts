// Usage by day as columns of parts. Pure.
import type { Hours, UsageBy, UsageItem } from "../../api/usage";

/** Names with a colour of their own; what is left is drawn together. */
const NAMES_MAX = 7;
const DAY_MS = 86_400_000;

/** What all beyond the largest are called. No user, project or queue is called that. */
export const OTHERS = "all others";

/** A name of what is nobody's. */
export const nameOf = (item: UsageItem, by: UsageBy): string => item[by] || "–";

export interface Column {
  from_ms: number;
  /** Hours of each name, in the order of the names. */
  parts: number[];
  total: number;
}

export interface Stack {
  names: string[];
  columns: Column[];
  /** Of the highest column. */
  most: number;
}

/** A column for each day from `from_ms` to `to_ms`, in UTC, those without any usage too; the largest names first. */
export function stack(items: UsageItem[], by: UsageBy, of: keyof Hours, from_ms: number, to_ms: number): Stack {
  const sums = new Map<string, number>();
  for (const item of items) sums.set(nameOf(item, by), (sums.get(nameOf(item, by)) ?? 0) + item.allocated[of]);
  const largest = [...sums].filter(([, hours]) => hours > 0).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name);
  const named = largest.slice(0, NAMES_MAX);
  const names = largest.length > NAMES_MAX ? [...named, OTHERS] : named;
  const columns: Column[] = [];
  const places = new Map<number, Column>();
  for (let day = Math.floor(from_ms / DAY_MS); day * DAY_MS < to_ms; day += 1) {
    const column = { from_ms: day * DAY_MS, parts: names.map(() => 0), total: 0 };
    columns.push(column);
    places.set(day, column);
  }
  for (const item of items) {
    const column = places.get(Math.floor(item.from_ms / DAY_MS));
    const found = named.indexOf(nameOf(item, by));
    const at = found >= 0 ? found : names.length - 1;
    const hours = item.allocated[of];
    if (!column || !(hours > 0)) continue;
    column.parts[at] = (column.parts[at] ?? 0) + hours;
    column.total += hours;
  }
  return { names, columns, most: Math.max(0, ...columns.map((column) => column.total)) };
}

/** The end of an axis: the least of 1, 2 and 5 times a power of ten that is not below. */
export function ceiling(most: number): number {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 2, 5, 10].find((one) => one * power >= most * (1 - 1e-9)) ?? 10;
  return step * power;
}

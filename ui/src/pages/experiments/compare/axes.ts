// Axes for what several runs have: a number line, in powers of ten where values span many of them, or a row of words.
import type { TrackingRun } from "../../../api/tracking";
import { rank } from "../rank";

export interface Field {
  /** `params.lr`, `metrics.loss`. */
  id: string;
  entity: "params" | "metrics";
  key: string;
  /** For each run; undefined where it has none, or no finite number. */
  values: (string | number | undefined)[];
  /** Whether every value is a number. */
  numeric: boolean;
  /** Whether runs differ in it. */
  differs: boolean;
}

const asNumber = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));

/** Everything that could be an axis: what at least one run has. */
export function fieldsOf(runs: TrackingRun[]): Field[] {
  const fields: Field[] = [];
  for (const entity of ["params", "metrics"] as const) {
    for (const key of [...new Set(runs.flatMap((run) => [...run[entity].keys()]))].sort()) {
      const values = entity === "metrics"
        ? runs.map((run) => { const value = run.metrics.get(key)?.value; return value !== undefined && Number.isFinite(value) ? value : undefined; })
        : numbersIfAll(runs.map((run) => run.params.get(key)));
      const present = values.filter((value) => value !== undefined);
      if (present.length === 0) continue;
      fields.push({ id: `${entity}.${key}`, entity, key, values, numeric: typeof present[0] === "number", differs: new Set(values).size > 1 });
    }
  }
  return fields;
}

function numbersIfAll(texts: (string | undefined)[]): (string | number | undefined)[] {
  const numbers = texts.map((text) => (text === undefined ? undefined : asNumber(text)));
  return numbers.some((value) => value !== undefined && !Number.isFinite(value)) ? texts : numbers;
}

export interface Scale {
  log: boolean;
  /** Words in their order; none on a number line. */
  words: string[];
  least: number;
  most: number;
}

/** More than this between the least and the greatest value asks for powers of ten. */
const LOG_FROM = 1000;

export function scaleOf(field: Field, log?: boolean): Scale {
  if (!field.numeric) {
    const words = [...new Set(field.values.filter((value): value is string => typeof value === "string"))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    return { log: false, words, least: 0, most: Math.max(1, words.length - 1) };
  }
  const numbers = field.values.filter((value): value is number => typeof value === "number");
  const [least, most] = [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
  const canLog = least > 0;
  const isLog = canLog && (log ?? most / least > LOG_FROM);
  if (least === most) return { log: isLog, words: [], least: isLog ? least / 2 : least - (Math.abs(least) || 1) / 2, most: isLog ? most * 2 : most + (Math.abs(most) || 1) / 2 };
  return { log: isLog, words: [], least, most };
}

/** Where a value lies on a scale, from 0 to 1. */
export function shareOf(scale: Scale, value: string | number | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string") {
    const at = scale.words.indexOf(value);
    return at < 0 ? undefined : scale.words.length === 1 ? 0.5 : at / (scale.words.length - 1);
  }
  if (scale.log) return value <= 0 ? undefined : Math.log(value / scale.least) / Math.log(scale.most / scale.least);
  return (value - scale.least) / (scale.most - scale.least);
}

/** Round numbers between the ends of a number line, or the words; each with where it lies. */
export function ticksOf(scale: Scale, about: number): { value: number | string; share: number }[] {
  if (scale.words.length > 0) {
    const every = Math.ceil(scale.words.length / (about * 2));
    return scale.words.flatMap((word, index) => (index % every === 0 ? [{ value: word, share: shareOf(scale, word) ?? 0 }] : []));
  }
  const values: number[] = [];
  if (scale.log) {
    const [from, to] = [Math.ceil(Math.log10(scale.least) - 1e-9), Math.floor(Math.log10(scale.most) + 1e-9)];
    const every = Math.max(1, Math.ceil((to - from + 1) / about));
    for (let power = from; power <= to; power += every) values.push(10 ** power);
  }
  if (values.length < 2) {
    values.length = 0;
    const rough = (scale.most - scale.least) / about;
    const ten = 10 ** Math.floor(Math.log10(rough));
    const step = ([1, 2, 5, 10].find((many) => many * ten >= rough) ?? 10) * ten;
    for (let at = Math.ceil(scale.least / step); at * step <= scale.most + step * 1e-9; at += 1) values.push(Number((at * step).toPrecision(12)));
  }
  return values.map((value) => ({ value, share: shareOf(scale, value) ?? 0 })).filter(({ share }) => share >= -1e-9 && share <= 1 + 1e-9);
}

/** The metric that most is done for, as far as its name tells. */
export function goalOf(fields: Field[]): Field | undefined {
  return byRank(fields.filter((field) => field.entity === "metrics" && field.differs))[0];
}

const byRank = (metrics: Field[]): Field[] => [...metrics].sort((a, b) => rank(a.key) - rank(b.key));

/** Parameters in which runs differ, those first that go together with the goal. */
export function telling(fields: Field[]): Field[] {
  const goal = goalOf(fields);
  const params = fields.filter((field) => field.entity === "params" && field.differs && (field.numeric || new Set(field.values).size <= 12));
  const strength = new Map(params.map((field) => [field, goal ? association(field, goal) : 0]));
  return params.sort((a, b) => (strength.get(b) ?? 0) - (strength.get(a) ?? 0));
}

/**
 * How much of the goal's variance a field accounts for, from 0 to 1, less what groups of this number would account for by
 * chance: by groups, since the best value of a parameter most often lies in the middle.
 */
export function association(field: Field, goal: Field): number {
  const scales = [scaleOf(field), scaleOf(goal)] as const;
  const pairs = field.values.flatMap((value, run): [number, number][] => {
    const [x, y] = [shareOf(scales[0], value), shareOf(scales[1], goal.values[run])];
    return x === undefined || y === undefined ? [] : [[x, y]];
  });
  if (pairs.length < 3) return 0;
  const groups = grouped(pairs, field.numeric);
  const mean = (numbers: number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  const middle = mean(pairs.map(([, y]) => y));
  const spread = pairs.reduce((sum, [, y]) => sum + (y - middle) ** 2, 0);
  const free = pairs.length - groups.length;
  if (spread === 0 || free < 1 || groups.length < 2) return 0;
  const within = groups.reduce((sum, ys) => sum + ys.reduce((part, y) => part + (y - mean(ys)) ** 2, 0), 0);
  return Math.max(0, 1 - (within / free) / (spread / (pairs.length - 1)));
}

/** The second of each pair by the first: of many numbers in a few groups of neighbours. */
function grouped(pairs: [number, number][], numeric: boolean): number[][] {
  const sorted = [...pairs].sort(([a], [b]) => a - b);
  const different = new Set(sorted.map(([x]) => x)).size;
  const most = Math.max(2, Math.min(6, Math.floor(pairs.length / 4)));
  const groups = new Map<number, number[]>();
  sorted.forEach(([x, y], index) => {
    const key = numeric && different > most ? Math.floor((index * most) / sorted.length) : x;
    groups.set(key, [...(groups.get(key) ?? []), y]);
  });
  return [...groups.values()];
}

/** Axes to begin with: parameters that tell most, then metrics. */
export function firstAxes(fields: Field[], most = 7): string[] {
  const params = telling(fields);
  const metrics = byRank(fields.filter((field) => field.entity === "metrics" && field.differs && !field.key.startsWith("system/")));
  const room = Math.max(most - Math.min(metrics.length, 2), most - params.length > 0 ? 0 : most - 2);
  const chosen = [...params.slice(0, room), ...metrics.slice(0, Math.max(1, most - Math.min(room, params.length)))];
  return chosen.slice(0, most).map((field) => field.id);
}

/** What is brushed on each axis, as shares from 0 to 1. */
export type Brushes = Map<string, [number, number]>;

/** Which runs pass every brush. A run without a value on a brushed axis passes it not. */
export function passing(runs: number, axes: { id: string; shares: (number | undefined)[] }[], brushes: Brushes): boolean[] {
  return Array.from({ length: runs }, (_, run) => axes.every(({ id, shares }) => {
    const brush = brushes.get(id);
    if (!brush) return true;
    const share = shares[run];
    return share !== undefined && share >= brush[0] - 1e-9 && share <= brush[1] + 1e-9;
  }));
}

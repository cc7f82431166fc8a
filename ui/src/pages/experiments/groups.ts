// Runs in groups by the value of a parameter or tag, with what their metrics are together. One pass, a few numbers kept
// per group: ten thousand runs need not stay in memory.
import type { TrackingRun } from "../../api/tracking";
import { name as nameIn, text } from "./filter";
import type { RunColumn } from "./columns";

export interface Summary {
  /** Runs with a finite value. */
  count: number;
  sum: number;
  least: number;
  most: number;
}

export interface Group {
  /** Undefined where runs have no value. */
  value: string | undefined;
  runs: number;
  states: Map<string, number>;
  metrics: Map<string, Summary>;
  /** Different values of the other columns, at most this many and one more. */
  values: Map<string, Set<string>>;
}

const VALUES_KEPT = 3;

export class Groups {
  private readonly byValue = new Map<string | undefined, Group>();
  private readonly by: { entity: "params" | "tags"; key: string };
  private readonly columns: RunColumn[];
  runs = 0;

  constructor(by: { entity: "params" | "tags"; key: string }, columns: RunColumn[]) {
    this.by = by;
    this.columns = columns;
  }

  add(run: TrackingRun): void {
    const value = run[this.by.entity].get(this.by.key);
    let group = this.byValue.get(value);
    if (!group) {
      group = { value, runs: 0, states: new Map(), metrics: new Map(), values: new Map() };
      this.byValue.set(value, group);
    }
    this.runs += 1;
    group.runs += 1;
    group.states.set(run.state, (group.states.get(run.state) ?? 0) + 1);
    for (const { id, entity, key } of this.columns) {
      if (entity === "metrics") summarise(group.metrics, key, run.metrics.get(key)?.value);
      else if (entity !== "attributes") collect(group.values, id, run[entity].get(key));
    }
  }

  /** Ordered by a column's mean, or by how many runs there are. */
  sorted(by: string | undefined, descending: boolean): Group[] {
    const mean = (group: Group): number => {
      const found = by?.startsWith("metrics.") ? group.metrics.get(by.slice("metrics.".length)) : undefined;
      return by === undefined ? group.runs : found ? found.sum / found.count : Number.NaN;
    };
    const sign = by === undefined || descending ? -1 : 1;
    return [...this.byValue.values()].sort((a, b) => {
      const [x, y] = [mean(a), mean(b)];
      // What has no value comes last, whatever the direction.
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      return sign * (x - y) || (a.value ?? "").localeCompare(b.value ?? "", undefined, { numeric: true });
    });
  }
}

function summarise(into: Map<string, Summary>, key: string, value: number | undefined): void {
  if (value === undefined || !Number.isFinite(value)) return;
  const before = into.get(key);
  if (!before) into.set(key, { count: 1, sum: value, least: value, most: value });
  else {
    before.count += 1;
    before.sum += value;
    before.least = Math.min(before.least, value);
    before.most = Math.max(before.most, value);
  }
}

function collect(into: Map<string, Set<string>>, id: string, value: string | undefined): void {
  if (value === undefined) return;
  const before = into.get(id) ?? new Set();
  into.set(id, before);
  if (before.size <= VALUES_KEPT) before.add(value);
}

/** `a, b`, or `a, b, c and others`. */
export function valuesText(values: Set<string> | undefined): string {
  if (!values) return "";
  const shown = [...values].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  return values.size > VALUES_KEPT ? `${shown.slice(0, VALUES_KEPT).join(", ")} and others` : shown.join(", ");
}

/** The comparison that finds a group's runs. */
export const comparisonOf = (by: { entity: "params" | "tags"; key: string }, value: string | undefined): string =>
  value === undefined ? `${nameIn(by.entity, by.key)} IS NULL` : `${nameIn(by.entity, by.key)} = ${text(value)}`;

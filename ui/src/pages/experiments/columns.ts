// Columns of the run table: what they are called, what they show, and how the server orders by them.
import type { TrackingRun } from "../../api/tracking";
import { duration, metric } from "../../lib/format";
import { fieldsOf, telling } from "./compare/axes";
import { rank } from "./rank";

export type Entity = "attributes" | "metrics" | "params" | "tags";

export interface RunColumn {
  /** As in addresses and saved views: `metrics.loss`. */
  id: string;
  entity: Entity;
  key: string;
  head: string;
  number: boolean;
  width_px: number;
}

const ATTRIBUTES: Record<string, { head: string; width_px: number; number?: boolean; order?: string }> = {
  state: { head: "State", width_px: 112, order: "status" },
  started: { head: "Started", width_px: 104, order: "start_time" },
  took: { head: "Took", width_px: 96, number: true },
  ended: { head: "Ended", width_px: 104, order: "end_time" },
  user: { head: "User", width_px: 112 },
  source: { head: "Source", width_px: 150 },
  id: { head: "Run id", width_px: 250, order: "run_id" },
};

/** The name has a place of its own at the left; it is ordered by like the rest. */
export const NAME = "attributes.name";

/** Metrics and parameters that a table begins with. */
const METRICS_AT_FIRST = 4;
const PARAMS_AT_FIRST = 5;

export function columnOf(id: string): RunColumn | undefined {
  const dot = id.indexOf(".");
  const [entity, key] = [id.slice(0, dot), id.slice(dot + 1)];
  if (key === "") return undefined;
  if (entity === "attributes") {
    const known = Object.hasOwn(ATTRIBUTES, key) ? ATTRIBUTES[key] : undefined;
    return known && { id, entity, key, head: known.head, number: known.number === true, width_px: known.width_px };
  }
  if (entity === "metrics") return { id, entity, key, head: key, number: true, width_px: Math.min(190, Math.max(92, 34 + key.length * 7)) };
  if (entity === "params" || entity === "tags") return { id, entity, key, head: key, number: false, width_px: Math.min(190, Math.max(96, 34 + key.length * 7)) };
  return undefined;
}

export const parseColumns = (ids: string): RunColumn[] => [...new Set(ids.split(","))].flatMap((id) => columnOf(id) ?? []);

export const formatColumns = (columns: Pick<RunColumn, "id">[]): string => columns.map((column) => column.id).join(",");

/** Tags that clients and this server write for themselves. */
export const isInternal = (key: string): boolean => key.startsWith("mlflow.") || key.startsWith("corliss.");

/** Everything that these runs have, by entity, in the order of the alphabet. */
export function columnsOf(runs: TrackingRun[]): RunColumn[] {
  const ids = new Set(Object.keys(ATTRIBUTES).map((key) => `attributes.${key}`));
  for (const entity of ["metrics", "params", "tags"] as const) {
    const keys = new Set(runs.flatMap((run) => [...run[entity].keys()]));
    for (const key of [...keys].sort()) if (entity !== "tags" || !isInternal(key)) ids.add(`${entity}.${key}`);
  }
  return [...ids].flatMap((id) => columnOf(id) ?? []);
}

/** What most people want to see first: the metrics that most runs have, and the parameters that go together with them. */
export function firstColumns(runs: TrackingRun[]): RunColumn[] {
  const counts = new Map<string, number>();
  for (const run of runs) for (const key of run.metrics.keys()) if (!key.startsWith("system/")) counts.set(key, (counts.get(key) ?? 0) + 1);
  const metrics = [...counts].sort(([a, many], [b, few]) => few - many || rank(a) - rank(b) || a.localeCompare(b)).slice(0, METRICS_AT_FIRST);
  const params = telling(fieldsOf(runs)).slice(0, PARAMS_AT_FIRST);
  const ids = ["attributes.state", "attributes.started", "attributes.took", ...metrics.map(([key]) => `metrics.${key}`), ...params.map((field) => field.id)];
  return ids.flatMap((id) => columnOf(id) ?? []);
}

/** The value of a cell in full, as for a file. */
export function valueOf(run: TrackingRun, column: Pick<RunColumn, "entity" | "key">): string {
  const { entity, key } = column;
  if (entity === "metrics") return run.metrics.has(key) ? String(run.metrics.get(key)?.value) : "";
  if (entity !== "attributes") return run[entity].get(key) ?? "";
  switch (key) {
    case "state": return run.state;
    case "started": return new Date(run.started_ms).toISOString();
    case "ended": return run.ended_ms === undefined ? "" : new Date(run.ended_ms).toISOString();
    case "took": return run.ended_ms === undefined ? "" : String((run.ended_ms - run.started_ms) / 1000);
    case "user": return run.user;
    case "source": return run.tags.get("mlflow.source.name") ?? "";
    case "id": return run.id;
    default: return run.name;
  }
}

/** The value of a cell as the table shows it. */
export function shownOf(run: TrackingRun, column: RunColumn): string {
  if (column.entity === "metrics") {
    const point = run.metrics.get(column.key);
    return point ? metric(point.value) : "";
  }
  if (column.id === "attributes.took") return run.ended_ms === undefined ? "" : duration(run.ended_ms - run.started_ms);
  return valueOf(run, column);
}

export interface Sort {
  id: string;
  descending: boolean;
}

/** `metrics.loss`, or `-metrics.loss` for the greatest first. */
export const parseSort = (sort: string | undefined): Sort | undefined =>
  sort === undefined || sort === "" ? undefined : { id: sort.replace(/^-/, ""), descending: sort.startsWith("-") };

export const canSort = (id: string): boolean => orderKey(id) !== undefined;

function orderKey(id: string): string | undefined {
  if (id === NAME) return "run_name";
  const column = columnOf(id);
  if (!column) return undefined;
  if (column.entity === "attributes") return ATTRIBUTES[column.key]?.order;
  return `${column.entity}.\`${column.key}\``;
}

/** The order as the server takes it. */
export function orderOf(sort: Sort | undefined): string | undefined {
  const key = sort && orderKey(sort.id);
  return key && `${key} ${sort.descending ? "DESC" : "ASC"}`;
}

/** What a click on a head means: greatest first for numbers and times, then the other way, then newest first again. */
export function nextSort(id: string, sort: Sort | undefined): string | undefined {
  const falling = columnOf(id)?.number === true || id === "attributes.started" || id === "attributes.ended";
  if (sort?.id !== id) return falling ? `-${id}` : id;
  return sort.descending === falling ? (falling ? id : `-${id}`) : undefined;
}

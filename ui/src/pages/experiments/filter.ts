// From what somebody types above the run table to a filter of MLflow's grammar.
import type { TrackingRun } from "../../api/tracking";

const OPERATOR = /[=<>]|\b(?:i?like|in|is)\b\s*['"(n]/i;

/** A text as the grammar quotes it. */
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A name as the grammar takes any name. */
export const name = (entity: string, key: string): string => (/^\w+$/.test(key) ? `${entity}.${key}` : `${entity}.\`${key}\``);

/** What has an operator is a filter already. Plain words are looked for in the names of runs, each of them. */
export function filterOf(typed: string): string {
  const wanted = typed.trim();
  if (wanted === "" || OPERATOR.test(wanted)) return wanted;
  return wanted.split(/\s+/).map((word) => `run_name ILIKE ${text(`%${word}%`)}`).join(" AND ");
}

/** Adds a comparison to what was typed. */
export function narrowed(typed: string, comparison: string): string {
  const before = filterOf(typed);
  return before === "" ? comparison : `${before} AND ${comparison}`;
}

export interface Example {
  filter: string;
  says: string;
}

/** Filters that find something among these runs, to learn the grammar from. */
export function examples(runs: TrackingRun[]): Example[] {
  const found: Example[] = [];
  const run = runs.find((one) => one.metrics.size > 0) ?? runs[0];
  for (const [key, point] of run?.metrics ?? []) {
    if (!Number.isFinite(point.value)) continue;
    found.push({ filter: `${name("metrics", key)} > ${Number(point.value.toPrecision(3))}`, says: "by the last value of a metric" });
    break;
  }
  for (const [key, value] of run?.params ?? []) {
    if (value.length > 30) continue;
    found.push({ filter: `${name("params", key)} = ${text(value)}`, says: "by a parameter" });
    break;
  }
  for (const [key, value] of run?.tags ?? []) {
    if (key.startsWith("mlflow.") || value.length > 30) continue;
    found.push({ filter: `${name("tags", key)} = ${text(value)}`, says: "by a tag" });
    break;
  }
  return [
    ...found,
    { filter: "status = 'FAILED'", says: "by state" },
    { filter: "run_name LIKE 'nightly%'", says: "by name" },
    ...(found.length > 1 ? [{ filter: `${found[0]?.filter} AND ${found[1]?.filter}`, says: "both" }] : []),
  ];
}

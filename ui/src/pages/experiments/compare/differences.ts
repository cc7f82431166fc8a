// What several runs have in common and where they differ: rows of a table, and axes of the plots.
import type { TrackingRun } from "../../../api/tracking";
import { isInternal } from "../columns";

export const COMPARE_MAX = 50;

export type Section = "attributes" | "params" | "metrics" | "tags";

export interface DiffRow {
  section: Section;
  key: string;
  /** One for each run; undefined where it has none. */
  values: (string | undefined)[];
  /** Of metrics, as numbers. */
  numbers?: (number | undefined)[];
  differs: boolean;
}

const ATTRIBUTES: [string, (run: TrackingRun) => string | undefined][] = [
  ["State", (run) => run.state],
  ["User", (run) => run.user || undefined],
  ["Source", (run) => run.tags.get("mlflow.source.name")],
  ["Commit", (run) => run.tags.get("mlflow.source.git.commit")],
  ["Data", (run) => (run.datasets.length > 0 ? run.datasets.map((one) => `${one.name} ${one.digest}`).join(", ") : undefined)],
];

const differs = (values: unknown[]): boolean => values.some((value) => !Object.is(value, values[0]));

export function rowsOf(runs: TrackingRun[]): DiffRow[] {
  const rows: DiffRow[] = [];
  const add = (section: Section, key: string, values: (string | undefined)[], numbers?: (number | undefined)[]): void => {
    if (values.some((value) => value !== undefined)) rows.push({ section, key, values, numbers, differs: differs(numbers ?? values) });
  };
  for (const [key, read] of ATTRIBUTES) add("attributes", key, runs.map(read));
  for (const section of ["params", "metrics", "tags"] as const) {
    const keys = [...new Set(runs.flatMap((run) => [...run[section].keys()]))].sort();
    for (const key of keys) {
      if (section === "tags" && isInternal(key)) continue;
      if (section === "metrics") {
        const numbers = runs.map((run) => run.metrics.get(key)?.value);
        add(section, key, numbers.map((value) => (value === undefined ? undefined : String(value))), numbers);
      } else add(section, key, runs.map((run) => run[section].get(key)));
    }
  }
  return rows;
}

/** Where the least and the greatest of different values stand, for the eye to find them. */
export function extremes(numbers: (number | undefined)[]): { least: number; most: number } | undefined {
  const finite = numbers.filter((value): value is number => value !== undefined && Number.isFinite(value));
  if (finite.length < 2) return undefined;
  const [least, most] = [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))];
  return least === most ? undefined : { least, most };
}

// What filters may speak of: the attributes that the grammar knows, and the keys and values that what is on the page has.
import type { Trace } from "../../../api/traces";
import type { TrackingRun } from "../../../api/tracking";
import { name } from "../filter";
import { NUMBERS, PAIRS, TEXTS, type Name, type Vocabulary } from "./complete";

/** Values of one key that are offered, and how long they may be. */
const VALUES_MAX = 50;
const VALUE_LENGTH_MAX = 80;

/** Keys with the values they have, in the order of the alphabet; what clients write for themselves comes last. */
function keysOf(maps: Iterable<Map<string, string>>): [string, string[]][] {
  const found = new Map<string, Set<string>>();
  for (const map of maps) {
    for (const [key, value] of map) {
      const values = found.get(key) ?? new Set();
      found.set(key, values);
      if (values.size < VALUES_MAX && value !== "" && value.length <= VALUE_LENGTH_MAX && !value.includes("\n")) values.add(value);
    }
  }
  const own = (key: string): number => Number(key.startsWith("mlflow.") || key.startsWith("corliss."));
  return [...found].sort(([a], [b]) => own(a) - own(b) || a.localeCompare(b)).map(([key, values]) => [key, [...values].sort()]);
}

const attribute = (key: string, operators: readonly string[], values?: readonly string[]): Name => ({ name: key, written: key, says: "attribute", operators, values });

const pair = (entity: string, says: string, operators: readonly string[]) => ([key, values]: [string, string[]]): Name =>
  ({ name: `${entity}.${key}`, written: name(entity, key), says, operators, values });

const distinct = (values: Iterable<string | undefined>): string[] => [...new Set(values)].filter((one): one is string => one !== undefined && one !== "" && one.length <= VALUE_LENGTH_MAX).sort().slice(0, VALUES_MAX);

export function runWords(runs: TrackingRun[]): Vocabulary {
  const metrics = [...new Set(runs.flatMap((run) => [...run.metrics.keys()]))].sort();
  const datasets = runs.flatMap((run) => run.datasets);
  return {
    names: [
      ...metrics.map((key): Name => ({ name: `metrics.${key}`, written: name("metrics", key), says: "metric", operators: NUMBERS })),
      ...keysOf(runs.map((run) => run.params)).map(pair("params", "parameter", PAIRS)),
      ...keysOf(runs.map((run) => run.tags)).map(pair("tags", "tag", PAIRS)),
      attribute("run_name", TEXTS),
      attribute("status", TEXTS, ["RUNNING", "FINISHED", "FAILED", "KILLED", "SCHEDULED"]),
      attribute("user_id", TEXTS, distinct(runs.map((run) => run.user))),
      attribute("run_id", [...TEXTS, "IN", "NOT IN"]),
      attribute("start_time", NUMBERS),
      attribute("end_time", NUMBERS),
      attribute("artifact_uri", TEXTS),
      { ...attribute("datasets.name", [...TEXTS, "IN"], distinct(datasets.map((one) => one.name))), says: "dataset" },
      { ...attribute("datasets.digest", [...TEXTS, "IN"], distinct(datasets.map((one) => one.digest))), says: "dataset" },
      { ...attribute("datasets.context", [...TEXTS, "IN"], distinct(datasets.map((one) => one.context))), says: "dataset" },
    ],
    entities: { metrics: NUMBERS, params: PAIRS, tags: PAIRS },
  };
}

const MATCHED = [...TEXTS, "RLIKE"] as const;
const JUDGED = [...NUMBERS, "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"] as const;
const LISTED = [...TEXTS, "IN", "NOT IN", "RLIKE"] as const;
const TYPES = ["AGENT", "CHAIN", "CHAT_MODEL", "EMBEDDING", "EVALUATOR", "GUARDRAIL", "LLM", "MEMORY", "PARSER", "RERANKER", "RETRIEVER", "TASK", "TOOL", "UNKNOWN", "WORKFLOW"];

export function traceWords(traces: Trace[]): Vocabulary {
  // A number is compared as one: as a text it has forms that one would have to know.
  const word = (value: unknown): string => (typeof value === "string" ? value : typeof value === "boolean" ? String(value) : "");
  const said = (kind: "feedback" | "expectation") => keysOf(traces.map((one) => new Map(one.assessments.filter((each) => each.kind === kind).map((each) => [each.name, word(each.value)]))));
  return {
    names: [
      attribute("status", LISTED, ["OK", "ERROR", "IN_PROGRESS"]),
      attribute("name", MATCHED, distinct(traces.map((one) => one.name))),
      attribute("execution_time_ms", NUMBERS),
      attribute("timestamp_ms", NUMBERS),
      { ...attribute("text", ["LIKE", "ILIKE"]), says: "anywhere in a span" },
      attribute("run_id", ["="], distinct(traces.map((one) => one.run))),
      attribute("request_id", LISTED),
      attribute("client_request_id", LISTED),
      attribute("end_time_ms", NUMBERS),
      attribute("prompt", ["="]),
      ...said("feedback").map(pair("feedback", "feedback", JUDGED)),
      ...said("expectation").map(pair("expectation", "expectation", JUDGED)),
      ...keysOf(traces.map((one) => one.tags)).map(pair("tags", "tag", [...PAIRS, "RLIKE"])),
      ...keysOf(traces.map((one) => one.metadata)).map(pair("metadata", "metadata", [...PAIRS, "RLIKE"])),
      { ...attribute("span.type", LISTED, TYPES), says: "span" },
      { ...attribute("span.name", LISTED), says: "span" },
      { ...attribute("span.status", LISTED, ["OK", "ERROR", "UNSET"]), says: "span" },
      { ...attribute("span.content", ["LIKE", "ILIKE"]), says: "span" },
    ],
    entities: { tags: [...PAIRS, "RLIKE"], metadata: [...PAIRS, "RLIKE"], feedback: JUDGED, expectation: JUDGED, span: LISTED },
  };
}

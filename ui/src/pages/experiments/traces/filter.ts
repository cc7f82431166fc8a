// From what somebody types above the table of traces to a filter, and the other way: filters that lead from one trace to
// those it belongs with.
import type { Trace } from "../../../api/traces";
import { name, text, type Example } from "../filter";

const OPERATOR = /[=<>]|\b(?:i?like|rlike|in|is)\b\s*['"(n]/i;
const TRACE_ID = /^tr-[0-9a-f]{32}$/;

/** What has an operator is a filter already. An id finds its trace; plain words are looked for in what went in and out, each of them. */
export function filterOf(typed: string): string {
  const wanted = typed.trim();
  if (wanted === "" || OPERATOR.test(wanted)) return wanted;
  if (TRACE_ID.test(wanted)) return `request_id = ${text(wanted)}`;
  return wanted.split(/\s+/).map((word) => `text ILIKE ${text(`%${word}%`)}`).join(" AND ");
}

/** Both, where there are both. */
export const joined = (...filters: string[]): string => filters.filter((one) => one !== "").join(" AND ");

export const ofRun = (run: string): string => `run_id = ${text(run)}`;
export const ofSession = (session: string): string => `${name("metadata", "mlflow.trace.session")} = ${text(session)}`;
export const ofUser = (user: string): string => `${name("metadata", "mlflow.trace.user")} = ${text(user)}`;
export const ofModel = (model: string): string => `${name("metadata", "mlflow.modelId")} = ${text(model)}`;

/** Filters that find something among these, to learn the grammar from. */
export function examples(traces: Trace[]): Example[] {
  const found: Example[] = [{ filter: "status = 'ERROR'", says: "by state" }, { filter: "execution_time_ms > 1000", says: "by how long it took" }];
  const named = traces.find((one) => one.name !== undefined)?.name;
  if (named !== undefined) found.push({ filter: `name = ${text(named)}`, says: "by name" });
  const spoken = traces.find((one) => one.session !== undefined)?.session;
  if (spoken !== undefined) found.push({ filter: ofSession(spoken), says: "by session" });
  const judged = traces.flatMap((one) => one.assessments).find((one) => one.kind === "feedback" && (typeof one.value === "boolean" || typeof one.value === "string"));
  if (judged) found.push({ filter: `${name("feedback", judged.name)} = ${text(String(judged.value))}`, says: "by feedback" });
  const tag = traces.flatMap((one) => [...one.tags]).find(([key, value]) => !key.startsWith("mlflow.") && value.length <= 30);
  if (tag) found.push({ filter: `${name("tags", tag[0])} = ${text(tag[1])}`, says: "by a tag" });
  return [...found, { filter: "span.type = 'LLM' AND span.status = 'ERROR'", says: "by a span of it" }, { filter: "text ILIKE '%refund%'", says: "by what was said" }];
}

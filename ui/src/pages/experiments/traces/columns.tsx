// Columns of the table of traces. Those that nothing has are left out.
import type { ReactNode } from "react";
import type { Assessment, Trace } from "../../../api/traces";
import { State } from "../../../components/State";
import { Ago } from "../../../components/Time";
import { count, duration, metric } from "../../../lib/format";
import { isInternal } from "../columns";

export interface TraceColumn {
  id: string;
  head: string;
  width_px: number;
  /** It takes its share of the room that is left. */
  grows?: boolean;
  number?: boolean;
  /** What the server orders by. */
  order?: string;
  /** Shown only where some trace has it. */
  has?: (trace: Trace) => boolean;
  cell: (trace: Trace) => ReactNode;
}

/** What went in or out, without the brackets around a single text. */
export function shown(preview: string): string {
  try {
    const value: unknown = JSON.parse(preview);
    if (typeof value === "string") return value;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      const members = Object.values(value);
      if (members.length === 1 && typeof members[0] === "string") return members[0];
    }
  } catch {
    // It is a text, or it was cut.
  }
  return preview;
}

export const titleOf = (trace: Trace): string => shown(trace.request).trim() || trace.name || trace.id;

export const dollars = (cost: number): string => (cost !== 0 && cost < 0.01 ? `$${Number(cost.toPrecision(2))}` : `$${cost.toFixed(2)}`);

export const tokenCount = ({ tokens }: Pick<Trace, "tokens">): number | undefined => tokens.total ?? (tokens.input === undefined && tokens.output === undefined ? undefined : (tokens.input ?? 0) + (tokens.output ?? 0));

export const tokenTitle = ({ tokens }: Pick<Trace, "tokens">): string =>
  [["in", tokens.input], ["out", tokens.output], ["read from a cache", tokens.cached]].filter(([, many]) => many !== undefined).map(([what, many]) => `${count(Number(many))} ${what}`).join(", ");

/** What was said, in a word or two. */
export function verdict(one: Pick<Assessment, "value" | "error">): string {
  if (one.error) return "failed";
  if (typeof one.value === "boolean") return one.value ? "yes" : "no";
  if (typeof one.value === "number") return metric(one.value);
  return typeof one.value === "string" ? one.value : JSON.stringify(one.value ?? null);
}

const text = (value: string | undefined): ReactNode => (value ? <bdi title={value}>{value}</bdi> : <span className="faint">–</span>);

const tagsOf = (trace: Trace): [string, string][] => [...trace.tags].filter(([key]) => !isInternal(key));

const judged = (trace: Trace): Assessment[] => trace.assessments.filter((one) => one.valid && one.kind === "feedback");

const COLUMNS: TraceColumn[] = [
  { id: "response", head: "Answer", width_px: 200, grows: true, cell: (trace) => text(shown(trace.response).slice(0, 300)) },
  { id: "state", head: "State", width_px: 130, order: "status", cell: (trace) => <State state={trace.state} /> },
  { id: "started", head: "Started", width_px: 104, order: "timestamp_ms", cell: (trace) => <Ago at={trace.started_ms} /> },
  { id: "took", head: "Took", width_px: 84, number: true, order: "execution_time_ms", cell: (trace) => (trace.took_ms === undefined ? <span className="faint">–</span> : duration(trace.took_ms)) },
  { id: "tokens", head: "Tokens", width_px: 84, number: true, has: (trace) => tokenCount(trace) !== undefined, cell: (trace) => (tokenCount(trace) === undefined ? <span className="faint">–</span> : <span title={tokenTitle(trace)}>{count(tokenCount(trace) ?? 0)}</span>) },
  { id: "cost", head: "Cost", width_px: 104, number: true, has: (trace) => trace.cost !== undefined, cell: (trace) => (trace.cost === undefined ? <span className="faint">–</span> : dollars(trace.cost)) },
  { id: "feedback", head: "Feedback", width_px: 190, has: (trace) => judged(trace).length > 0, cell: (trace) => <Chips of={judged(trace).map((one) => [one.name, verdict(one)])} /> },
  { id: "name", head: "Name", width_px: 130, order: "name", has: (trace) => trace.name !== undefined, cell: (trace) => text(trace.name) },
  { id: "session", head: "Session", width_px: 116, has: (trace) => trace.session !== undefined, cell: (trace) => text(trace.session) },
  { id: "user", head: "User", width_px: 100, has: (trace) => trace.user !== undefined, cell: (trace) => text(trace.user) },
  { id: "tags", head: "Tags", width_px: 190, has: (trace) => tagsOf(trace).length > 0, cell: (trace) => <Chips of={tagsOf(trace)} /> },
];

function Chips({ of }: { of: [string, string][] }) {
  if (of.length === 0) return <span className="faint">–</span>;
  return <span title={of.map(([key, value]) => `${key}: ${value}`).join("\n")}>{of.slice(0, 4).map(([key, value], index) => <span key={index} className="chip"><span><bdi>{key}</bdi>: <bdi>{value.slice(0, 40)}</bdi></span></span>)}</span>;
}

export const columnsOf = (traces: Trace[]): TraceColumn[] => COLUMNS.filter((column) => !column.has || traces.some(column.has));

/** `-took` is the greatest first; none is newest first. */
export function orderOf(sort: string | undefined): string | undefined {
  const column = COLUMNS.find((one) => one.id === sort?.replace(/^-/, ""));
  return column?.order === undefined ? undefined : `${column.order} ${sort?.startsWith("-") ? "DESC" : "ASC"}`;
}

/** What a click on a head means: greatest first for numbers, then the other way, then newest first again. */
export function nextSort(column: TraceColumn, sort: string | undefined): string | undefined {
  const [first, second] = column.number ? [`-${column.id}`, column.id] : [column.id, `-${column.id}`];
  return sort === first ? second : sort === second ? undefined : first;
}

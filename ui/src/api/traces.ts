// Traces of applications: what is known about each, its spans, and what was said about it. MLflow's third version of the
// routes, and the file of spans that pages read.
import { request, segment, send, type Page } from "./client";

export interface Tokens {
  input?: number;
  output?: number;
  total?: number;
  cached?: number;
}

export interface Assessment {
  id: string;
  name: string;
  kind: "feedback" | "expectation" | "issue";
  /** Any JSON value; of an issue, its name. */
  value: unknown;
  /** Why a judge came to no value. */
  error?: { code?: string; message?: string };
  source: { kind: string; id?: string };
  rationale?: string;
  span?: string;
  overrides?: string;
  /** No other stands for it. */
  valid: boolean;
  created_ms: number;
  updated_ms: number;
  metadata: Map<string, string>;
}

export interface Trace {
  id: string;
  experiment: string;
  /** Absent where its client gave it none. */
  name?: string;
  state: "ok" | "error" | "in_progress" | "state_unspecified";
  started_ms: number;
  /** Absent while it goes on. */
  took_ms?: number;
  /** The beginning of what went in, and of what came out. */
  request: string;
  response: string;
  client_request_id?: string;
  metadata: Map<string, string>;
  tags: Map<string, string>;
  assessments: Assessment[];
  run?: string;
  session?: string;
  user?: string;
  /** The logged model that answered. */
  model?: string;
  tokens: Tokens;
  /** US dollars. */
  cost?: number;
}

export interface SpanEvent {
  name: string;
  at_us: number;
  attributes: Record<string, unknown>;
}

export interface SpanLink {
  trace: string;
  span: string;
}

/** Times are microseconds since the trace's first span began. */
export interface TraceSpan {
  id: string;
  parent?: string;
  name: string;
  /** Such as `LLM` or `TOOL`; `UNKNOWN` where nobody said. */
  type: string;
  kind: string;
  status: "ok" | "error" | "unset";
  message?: string;
  start_us: number;
  /** Absent while it goes on. */
  end_us?: number;
  /** JSON texts. */
  attributes: Map<string, string>;
  events: SpanEvent[];
  links: SpanLink[];
}

export interface TraceSearch {
  experiment: string;
  filter: string;
  /** A clause such as `execution_time_ms DESC`; none is newest first. */
  order?: string;
}

export interface NewAssessment {
  name: string;
  kind: "feedback" | "expectation";
  value: unknown;
  rationale?: string;
  span?: string;
  /** Who says it. */
  by: string;
  /** The one that it stands for. */
  overrides?: string;
}

interface WireAssessment {
  assessment_id: string;
  assessment_name: string;
  source?: { source_type?: string; source_id?: string };
  create_time?: string;
  last_update_time?: string;
  feedback?: { value?: unknown; error?: { error_code?: string; error_message?: string } };
  expectation?: { value?: unknown; serialized_value?: { value?: string } };
  issue?: { issue_name?: string };
  rationale?: string;
  span_id?: string;
  overrides?: string;
  metadata?: Record<string, string>;
  valid?: boolean;
}

interface WireTrace {
  trace_id: string;
  trace_location?: { mlflow_experiment?: { experiment_id?: string } };
  request_time?: string;
  execution_duration?: string;
  state?: string;
  request_preview?: string;
  response_preview?: string;
  client_request_id?: string;
  trace_metadata?: Record<string, string>;
  tags?: Record<string, string>;
  assessments?: WireAssessment[];
}

/** As they are kept: ids in base64, whole nanoseconds, attributes as JSON texts. */
interface WireSpan {
  span_id: string;
  parent_span_id: string | null;
  name: string;
  kind?: string;
  start_time_unix_nano: string | number;
  end_time_unix_nano: string | number | null;
  events?: { name: string; time_unix_nano: string | number; attributes?: Record<string, unknown> }[];
  status?: { code?: string; message?: string };
  attributes?: Record<string, string>;
  links?: { trace_id: string; span_id: string }[];
}

const base = "/api/3.0/mlflow/traces";

const mapOf = (texts: Record<string, string> | undefined): Map<string, string> => new Map(Object.entries(texts ?? {}));

/** The JSON value of a text; a text that is no JSON is itself. */
export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const number = (value: unknown): number | undefined => (value !== undefined && value !== null && value !== "" && Number.isFinite(Number(value)) ? Number(value) : undefined);

/** Counts of tokens in a JSON text, which some write as a text within the text. */
export function tokensOf(text: string | undefined): Tokens {
  let value = text === undefined ? undefined : valueOf(text);
  if (typeof value === "string") value = valueOf(value);
  if (!isObject(value)) return {};
  return { input: number(value["input_tokens"]), output: number(value["output_tokens"]), total: number(value["total_tokens"]), cached: number(value["cache_read_input_tokens"]) };
}

export function costOf(text: string | undefined): number | undefined {
  let value = text === undefined ? undefined : valueOf(text);
  if (typeof value === "string") value = valueOf(value);
  return isObject(value) ? number(value["total_cost"]) : undefined;
}

function assessment(wire: WireAssessment): Assessment {
  const kind = wire.feedback ? "feedback" : wire.expectation ? "expectation" : "issue";
  const serialized = wire.expectation?.serialized_value?.value;
  const value = kind === "feedback" ? wire.feedback?.value : kind === "issue" ? wire.issue?.issue_name : serialized === undefined ? wire.expectation?.value : valueOf(serialized);
  const error = wire.feedback?.error;
  return {
    id: wire.assessment_id,
    name: wire.assessment_name,
    kind,
    value,
    error: error && { code: error.error_code, message: error.error_message },
    source: { kind: wire.source?.source_type ?? "SOURCE_TYPE_UNSPECIFIED", id: wire.source?.source_id },
    rationale: wire.rationale,
    span: wire.span_id,
    overrides: wire.overrides,
    valid: wire.valid !== false,
    created_ms: Date.parse(wire.create_time ?? "") || 0,
    updated_ms: Date.parse(wire.last_update_time ?? "") || 0,
    metadata: mapOf(wire.metadata),
  };
}

function trace(wire: WireTrace): Trace {
  const [metadata, tags] = [mapOf(wire.trace_metadata), mapOf(wire.tags)];
  const took = /^(-?\d+(?:\.\d+)?)s$/.exec(wire.execution_duration ?? "");
  return {
    id: wire.trace_id,
    experiment: wire.trace_location?.mlflow_experiment?.experiment_id ?? "0",
    name: tags.get("mlflow.traceName") || undefined,
    state: (wire.state ?? "state_unspecified").toLowerCase() as Trace["state"],
    started_ms: Date.parse(wire.request_time ?? "") || 0,
    took_ms: took ? Math.round(Number(took[1]) * 1000) : undefined,
    request: wire.request_preview ?? "",
    response: wire.response_preview ?? "",
    client_request_id: wire.client_request_id,
    metadata,
    tags,
    assessments: (wire.assessments ?? []).map(assessment),
    run: metadata.get("mlflow.sourceRun") || undefined,
    session: metadata.get("mlflow.trace.session") || undefined,
    user: metadata.get("mlflow.trace.user") || undefined,
    model: metadata.get("mlflow.modelId") || undefined,
    tokens: tokensOf(metadata.get("mlflow.trace.tokenUsage")),
    cost: costOf(metadata.get("mlflow.trace.cost")),
  };
}

/** Ids travel as base64; everybody else writes them as hex digits. */
const hex = (base64: string): string => [...atob(base64)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");

/**
 * The spans in the text of a trace's file, by the time they began. Nanoseconds have more digits than a double: they are
 * put in quotes before the text is parsed. Within a text of the file their quotes have a backslash, so nothing else is hit.
 */
export function spansOf(file: string): TraceSpan[] {
  const quoted = file.replace(/"((?:start_|end_)?time_unix_nano)":\s*(\d+)/g, '"$1":"$2"');
  const wire = (JSON.parse(quoted) as { spans: WireSpan[] }).spans;
  if (wire.length === 0) return [];
  const starts = wire.map((one) => BigInt(one.start_time_unix_nano));
  const began = starts.reduce((least, one) => (one < least ? one : least));
  const since = (at: string | number | bigint): number => Number(BigInt(at) - began) / 1000;
  const found = wire.map((one, index): TraceSpan => {
    const attributes = mapOf(one.attributes);
    const type = valueOf(attributes.get("mlflow.spanType") ?? "");
    return {
      id: hex(one.span_id),
      parent: one.parent_span_id ? hex(one.parent_span_id) : undefined,
      name: one.name,
      type: typeof type === "string" && type !== "" ? type : "UNKNOWN",
      kind: (one.kind ?? "").replace(/^SPAN_KIND_/, "").toLowerCase(),
      status: (one.status?.code ?? "").endsWith("ERROR") ? "error" : (one.status?.code ?? "").endsWith("OK") ? "ok" : "unset",
      message: one.status?.message || undefined,
      start_us: since(starts[index] ?? began),
      end_us: one.end_time_unix_nano === null || one.end_time_unix_nano === undefined ? undefined : since(one.end_time_unix_nano),
      attributes,
      events: (one.events ?? []).map((event) => ({ name: event.name, at_us: since(event.time_unix_nano), attributes: event.attributes ?? {} })),
      links: (one.links ?? []).map((link) => ({ trace: link.trace_id, span: link.span_id })),
    };
  });
  return found.sort((a, b) => a.start_us - b.start_us || (b.end_us ?? Infinity) - (a.end_us ?? Infinity));
}

/** What was said, as it is sent: lists and objects that were expected travel as a JSON text. */
function said(kind: NewAssessment["kind"], value: unknown): Record<string, unknown> {
  if (kind === "feedback") return { feedback: { value } };
  const plain = typeof value === "boolean" || typeof value === "number" || typeof value === "string";
  return { expectation: plain ? { value } : { serialized_value: { serialization_format: "JSON_FORMAT", value: JSON.stringify(value) } } };
}

export const traces = {
  search: async (search: TraceSearch, limit: number, page_token?: string, signal?: AbortSignal): Promise<{ items: Trace[]; next_page_token?: string }> => {
    const answer = await request<{ traces?: WireTrace[]; next_page_token?: string }>(`${base}/search`, {
      method: "POST",
      signal,
      body: {
        locations: [{ type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: search.experiment } }],
        filter: search.filter,
        order_by: search.order === undefined ? undefined : [search.order],
        max_results: limit,
        page_token,
      },
    });
    return { items: (answer.traces ?? []).map(trace), next_page_token: answer.next_page_token || undefined };
  },
  get: async (id: string): Promise<Trace> => trace((await request<{ trace: { trace_info: WireTrace } }>(`${base}/${segment(id)}`)).trace.trace_info),
  /** The runs that it was made in or linked to, some of them if there are many. */
  runs: async (id: string): Promise<{ ids: string[]; more: boolean }> => {
    const answer = await request<Page<{ run_id: string }>>(`/api/v1/tracking/traces/${segment(id)}/runs`);
    return { ids: answer.items.map((one) => one.run_id), more: answer.next_page_token !== undefined };
  },
  /** As far as they are there: spans of a trace that goes on come one after the other. */
  spans: async (id: string, signal?: AbortSignal): Promise<TraceSpan[]> =>
    spansOf(await (await send("/ajax-api/3.0/mlflow/get-trace-artifact", { query: { request_id: id }, accept: "*/*", signal })).text()),
  remove: (one: Pick<Trace, "id" | "experiment">) => request<unknown>(`${base}/delete-traces`, { method: "POST", body: { experiment_id: one.experiment, request_ids: [one.id] } }),
  setTag: (id: string, key: string, value: string) => request<unknown>(`${base}/${segment(id)}/tags`, { method: "PATCH", body: { key, value } }),
  deleteTag: (id: string, key: string) => request<unknown>(`${base}/${segment(id)}/tags`, { method: "DELETE", body: { key } }),
  assess: (id: string, given: NewAssessment) => request<unknown>(`${base}/${segment(id)}/assessments`, {
    method: "POST",
    body: {
      assessment: {
        assessment_name: given.name,
        source: { source_type: "HUMAN", source_id: given.by },
        ...said(given.kind, given.value),
        rationale: given.rationale || undefined,
        span_id: given.span,
        overrides: given.overrides,
      },
    },
  }),
  changeAssessment: (id: string, one: Pick<Assessment, "id" | "kind">, value: unknown, rationale: string) => {
    const kind = one.kind === "expectation" ? "expectation" : "feedback";
    return request<unknown>(`${base}/${segment(id)}/assessments/${segment(one.id)}`, {
      method: "PATCH",
      body: { assessment: { ...said(kind, value), ...(kind === "feedback" ? { rationale } : {}) }, update_mask: kind === "feedback" ? "feedback,rationale" : "expectation" },
    });
  },
  deleteAssessment: (id: string, assessment_id: string) => request<unknown>(`${base}/${segment(id)}/assessments/${segment(assessment_id)}`, { method: "DELETE" }),
};

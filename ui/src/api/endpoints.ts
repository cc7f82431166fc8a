import { request, segment, type Page } from "./client";

export type EndpointState = "deploying" | "ready" | "degraded" | "failed" | "stopping";

export interface Replica {
  id: string;
  version: number | string;
  state: "queued" | "starting" | "ready" | "draining" | "stopping" | "failed" | "stopped";
  reason?: string | null;
  job_id?: string | null;
  restarts: number;
  in_flight: number;
  started_ms?: number | null;
  ended_ms?: number | null;
}

/** A service elsewhere that answers an endpoint's requests. */
export interface Service {
  dialect: "openai" | "open_inference";
  /** What it calls the model. */
  model: string;
  targets: { id: string; url: string; weight: number }[];
  has_key: boolean;
}

export interface EndpointView {
  name: string;
  /** The reference that was deployed: `digits@champion` or `digits/3`. */
  model: string;
  /** The registered model behind the reference; none where a service elsewhere answers. */
  model_name?: string | null;
  desired_version: number | string;
  serving_version?: number | string | null;
  flavor: string;
  state: EndpointState;
  reason?: string | null;
  replicas_desired: number;
  replicas_ready: number;
  service?: Service;
  replicas: Replica[];
  routing: Routing;
  /** What it names that is not there, a sentence each; none where all is. */
  routing_notes?: string[];
  requests_total: number;
  created_ms: number;
  updated_ms: number;
}

/** Whether clients know it as a language model; others take tensors, if anything. */
export const speaks = (endpoint: Pick<EndpointView, "flavor" | "service">) => endpoint.flavor === "gguf" || endpoint.service?.dialect === "openai";

export const takesTensors = (endpoint: Pick<EndpointView, "flavor" | "service">) => endpoint.flavor === "onnx" || endpoint.flavor === "pyfunc" || endpoint.service?.dialect === "open_inference";

export const STRATEGIES = ["round_robin", "weighted", "least_connections", "least_response_time", "least_tokens", "prefix_aware", "session_affinity"] as const;

export type Strategy = (typeof STRATEGIES)[number];

export type Condition =
  | { version: number }
  | { header: { name: string; is: string } }
  | { tenant: string[] }
  | { prompt_tokens: { at_least?: number | null; at_most?: number | null } };

export type Destination = "all" | { version: number } | { replicas: string[] } | { pool: string };

export interface Rule {
  when: Condition[];
  to: Destination;
}

/** How requests are routed. What may be absent is then not bounded, or not done. */
export interface Routing {
  router: Strategy;
  session_header: string;
  /** Shares of versions; one that is not named has 1. */
  weights: Record<string, number>;
  prefix_slack_tokens: number;
  rules: Rule[];
  retry: { attempts: number; budget_percent: number };
  hedge_after_ms?: number;
  attempt_timeout_ms?: number;
  timeout_ms?: number;
  concurrent_max?: number;
  fallback: string[];
  price: Price;
}

/** In millionths of the unit of budgets: a million tokens of prompts, of those that were cached, of answers; a request. */
export interface Price {
  prompt_micros: number;
  cached_micros?: number;
  answer_micros: number;
  request_micros: number;
}

/** What an endpoint has done since its server started: counters that only rise. */
export interface EndpointStats {
  requests_total: number;
  failed_total: number;
  invalid_total: number;
  cancelled_total: number;
  /** Not let in; not part of `requests_total`. */
  refused_total: number;
  retries_total: number;
  hedges_total: number;
  fallbacks_total: number;
  prompt_tokens_total: number;
  cached_tokens_total: number;
  completion_tokens_total: number;
  latency_ms_sum: number;
  latency_buckets: number[];
  first_token_buckets: number[];
  in_flight: [string, number][];
  /** Of a language model, those that answer. */
  engines: EngineStats[];
}

/** What one engine of a language model says of itself; its counters rise as long as it runs. */
export interface EngineStats {
  replica: string;
  /** Sequences that it computes now, and at most. */
  running: number;
  sequences_max: number;
  waiting: number;
  kv_permille: number;
  batches_total: number;
  /** Sequences in these batches. */
  batched_total: number;
  token_gap_bounds_us: number[];
  /** Times between the tokens of answers; one more than there are bounds, or none. */
  token_gap_buckets: number[];
}

export const OUTCOMES = ["answered", "failed", "invalid", "cancelled"] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** Why a replica was picked; the numbers depend on `why`. */
export interface Reason {
  why: string;
  in_flight?: number;
  cost_us?: number;
  tokens?: number;
  blocks?: number;
}

/** A request that has ended, or one of the several answers that it asked for. */
export interface RequestRecord {
  id: string;
  at_ms: number;
  caller: string;
  /** The endpoint that its client named, if another one answered. */
  instead_of?: string;
  /** The rule that decided, counted from 0. */
  rule?: number;
  replica: string | null;
  reason: Reason | null;
  version: number | null;
  /** Whether it is a copy, whose answer nobody got. */
  shadow?: boolean;
  attempts: number;
  hedged: boolean;
  first_us: number | null;
  total_us: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  /** What the engine of a language model tells: it waited, read the prompt, wrote the answer; sequences in its batches. */
  queue_us?: number;
  prefill_us?: number;
  decode_us?: number;
  batch_mean?: number;
  outcome: Outcome;
  error?: string;
}

const base = "/api/v1/endpoints";

export const endpoints = {
  list: () => request<Page<EndpointView>>(base),
  get: (name: string) => request<EndpointView>(`${base}/${segment(name)}`),
  stats: (name: string, signal?: AbortSignal) => request<EndpointStats>(`${base}/${segment(name)}/stats`, { signal }),
  /** Newest first. */
  requests: (name: string, limit: number, signal?: AbortSignal) => request<Page<RequestRecord>>(`${base}/${segment(name)}/requests`, { query: { limit }, signal }),
  /** What is left out gets its default. */
  route: (name: string, routing: Partial<Routing>) => request<EndpointView>(`${base}/${segment(name)}/routing`, { method: "PUT", body: routing }),
};

import { request, segment, type Page } from "./client";

export type ReleaseState = "running" | "paused" | "completed" | "rolled_back" | "superseded";

export type ReleaseStrategy = "rolling" | "canary" | "blue_green" | "shadow" | "ab";

/** How a version gets out; what is not said is as by default. */
export interface ReleasePlan {
  strategy: ReleaseStrategy;
  steps?: number[];
  step_ms?: number;
  keep_ms?: number;
  percent?: number;
  min_requests?: number;
  objectives: Objectives;
}

export interface Objectives {
  /** Hundredths of a percent. */
  max_error_bp: number;
  max_p99_ms?: number;
  /** Of the old version's. */
  max_p99_ratio_percent?: number;
  max_first_token_p99_ms?: number;
}

export type Wait =
  | { waits_for: "replicas"; ready: number; needed: number }
  | { waits_for: "time"; until_ms: number }
  | { waits_for: "requests"; missing: number }
  | { waits_for: "decision" }
  | { waits_for: "resume" };

/** What a version did, in microseconds. */
export interface Seen {
  requests: number;
  errors: number;
  p50_us: number | null;
  p99_us: number | null;
  first_token_p99_us: number | null;
}

/** One of the two versions of a release; copies are told of one that gets some. */
export interface ReleaseVersion extends Seen {
  version: number;
  replicas_ready: number;
  same?: number;
  different?: number;
  skipped?: number;
}

export interface ReleaseStep {
  step: number;
  percent: number;
  copies: number;
  begun_ms: number | null;
  ended_ms: number;
  old: Seen;
  new: Seen;
}

export interface Release {
  id: string;
  endpoint: string;
  model: string;
  from_version: number;
  /** Registered model; unknown of releases from before it was kept. */
  from_model?: string;
  to_version: number;
  to_model: string;
  plan: ReleasePlan;
  state: ReleaseState;
  /** Counted from 0. */
  step: number;
  steps_total: number;
  percent: number;
  copies: number;
  begun_ms: number | null;
  next?: Wait;
  reason: string | null;
  started_by: string | null;
  /** The old one first; none once it has ended. */
  versions: ReleaseVersion[];
  steps: ReleaseStep[];
  created_ms: number;
  updated_ms: number;
  ended_ms: number | null;
}

export type Word = "promote" | "rollback" | "pause" | "resume";

const base = (name: string): string => `/api/v1/endpoints/${segment(name)}/releases`;

export const releases = {
  /** Newest first. */
  list: (name: string, signal?: AbortSignal) => request<Page<Release>>(base(name), { signal }),
  tell: (name: string, id: string, word: Word) => request<Release>(`${base(name)}/${segment(id)}/${word}`, { method: "POST", body: {} }),
};

import { request, segment, type Page } from "./client";
import { events } from "./stream";

export type RunState = "pending" | "running" | "succeeded" | "failed" | "cancelled";
export type StepState =
  | "waiting" | "queued" | "running" | "publishing" | "succeeded"
  | "reused" | "failed" | "cancelled" | "skipped";

export interface RunSummary {
  id: string;
  project: string;
  state: RunState;
  created_ms: number;
  started_ms?: number | null;
  ended_ms?: number | null;
  steps_total: number;
  steps_done: number;
  submitted_by: string;
  /** The run that this one repeats. */
  rerun_of?: string | null;
  reason?: string | null;
}

export interface Attempt {
  attempt: number;
  /** Its job, once submitted. */
  job_id?: string | null;
  state: "preparing" | "submitted" | "succeeded" | "failed" | "cancelled";
  class?: string | null;
  reason?: string | null;
  started_ms?: number | null;
  ended_ms?: number | null;
}

export interface StepInput {
  name: string;
  from: string;
  version?: string | null;
}

export interface StepOutput {
  name: string;
  version?: string | null;
}

export interface StepView {
  name: string;
  needs: string[];
  state: StepState;
  reason?: string | null;
  attempt: number;
  job_id?: string | null;
  tracking_run_id?: string | null;
  inputs: StepInput[];
  outputs: StepOutput[];
  workers: number;
  launcher?: string | null;
  cached_from?: string | null;
  started_ms?: number | null;
  ended_ms?: number | null;
  attempts: Attempt[];
}

export interface RunModel {
  name: string;
  version?: number | null;
  state: "pending" | "registered" | "gated" | "failed";
  reason?: string | null;
}

export interface RunEndpoint {
  name: string;
  state: "pending" | "deployed" | "unchanged" | "failed";
  reason?: string | null;
}

export interface RunDetail extends RunSummary {
  project_file: string;
  source?: string | null;
  data: Record<string, string>;
  params?: Record<string, string>;
  /** Someone asked for it to stop, and it has not stopped yet. */
  cancel_requested?: boolean;
  steps: StepView[];
  models: RunModel[];
  endpoints: RunEndpoint[];
}

const base = "/api/v1/runs";

export const runs = {
  list: (query: { limit?: number; page_token?: string; state?: string } = {}) =>
    request<Page<RunSummary>>(base, { query }),
  get: (id: string) => request<RunDetail>(`${base}/${segment(id)}`),
  cancel: (id: string) => request<unknown>(`${base}/${segment(id)}/cancel`, { method: "POST", body: {} }),
  rerun: (id: string, from_step?: string) =>
    request<{ id: string }>(`${base}/${segment(id)}/rerun`, { method: "POST", body: from_step ? { from_step } : {} }),
  watch: (id: string, signal: AbortSignal) => events(`${base}/${segment(id)}/events`, { signal }),
};

export const runEnded = (state: RunState): boolean => state !== "pending" && state !== "running";

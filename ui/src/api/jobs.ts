import { request, segment } from "./client";
import type { Inventory, Resources } from "./system";

export interface TaskExit {
  kind: "exited" | "signaled" | "out_of_memory" | "timed_out" | "cancelled" | "lost";
  code?: number | null;
  signal?: number | null;
  /** One sentence where the kind alone does not say why. */
  message?: string | null;
  peak_memory_bytes?: number | null;
}

export interface TaskView {
  task_id: string;
  rank: number;
  state: string;
  pid?: number | null;
  /** Indices of the accelerators it holds. */
  accelerators?: number[];
  exit?: TaskExit | null;
}

export interface JobView {
  id: string;
  name: string;
  kind: "batch" | "service";
  run_id?: string | null;
  /** The step of the run that it does the work of. */
  step?: string | null;
  state: "queued" | "starting" | "running" | "stopping" | "succeeded" | "failed" | "cancelled";
  reason?: string | null;
  workers: number;
  resources_per_worker: Resources;
  attempt: number;
  /** The checkpoint that its tasks were told to go on from. */
  resumed_from?: string | null;
  created_ms: number;
  started_ms?: number | null;
  ended_ms?: number | null;
  tasks: TaskView[];
}

export interface Why {
  summary: string;
  reasons: { code: string; message: string }[];
  position?: number | null;
  /** When it starts, where that is known. */
  starts_ms?: number | null;
  waiting_ms: number;
}

export interface LogLine {
  offset: number;
  stream: "stdout" | "stderr";
  text: string;
}

export interface LogPage {
  lines: LogLine[];
  next_offset: number;
  ended: boolean;
}

export interface LogQuery extends Record<string, string | number | boolean | undefined> {
  rank?: number;
  stream?: "stdout" | "stderr" | "both";
  attempt?: number;
  offset?: number;
  limit?: number;
  tail?: number;
}

export interface QueueItem {
  queue: string;
  position: number;
  job_id: string;
  name: string;
  needs: Resources;
  reason: string;
  waiting_ms: number;
  run_id?: string | null;
}

/** A job that holds resources now; the queue sends it with the fields of JobView that apply. */
export interface RunningJob extends Partial<JobView> {
  job_id?: string;
  name: string;
  needs?: Resources;
}

export interface Queue {
  inventory: Inventory;
  items: QueueItem[];
  running: RunningJob[];
}

export interface Queues {
  settings: { queues: Record<string, { parent?: string; weight: number; order: string; quota?: Quota }> };
  usage: Record<string, { waiting: number; running: number; held: Resources }>;
}

export interface Quota {
  cpu_milli?: number;
  memory_bytes?: number;
  accelerators?: number;
}

const base = "/api/v1/jobs";

export const jobs = {
  get: (id: string) => request<JobView>(`${base}/${segment(id)}`),
  why: (id: string) => request<Why>(`${base}/${segment(id)}/why`),
  logs: (id: string, query: LogQuery, signal?: AbortSignal) =>
    request<LogPage>(`${base}/${segment(id)}/logs`, { query, signal }),
  queue: () => request<Queue>("/api/v1/queue"),
  queues: () => request<Queues>("/api/v1/queues"),
};

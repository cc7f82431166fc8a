import { request } from "./client";

/** Resources times time. */
export interface Hours {
  cpu: number;
  memory_gib: number;
  accelerator: number;
}

export interface Consumption {
  jobs: number;
  waited_hours: number;
  /** What jobs were given, used or not. */
  allocated: Hours;
  /** Of that, what was lost because an attempt failed. */
  failed: Hours;
  /** Of that, what was lost because an attempt made room for another. */
  preempted: Hours;
  used_cpu_hours: number;
}

export interface UsageItem extends Consumption {
  from_ms: number;
  to_ms: number;
  user?: string;
  project?: string;
  queue?: string;
}

export interface Usage {
  from_ms: number;
  to_ms: number;
  items: UsageItem[];
  total: Consumption;
}

export type UsageBy = "user" | "project" | "queue";

/** Of the days from `from_ms` until now; with `per`, a line for each. */
export const usage = (query: { from_ms: number; by: UsageBy; per?: "day" }) =>
  request<Usage>("/api/v1/usage", { query: { ...query } });

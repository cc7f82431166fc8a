import { request } from "./client";

/** Thousandths of a CPU, bytes, whole accelerators. */
export interface Resources {
  cpu_milli: number;
  memory_bytes: number;
  accelerators: number;
}

export interface Accelerator {
  index: number;
  uuid: string;
  model: string;
  memory_bytes: number;
}

export interface Inventory {
  total: Resources;
  free: Resources;
  accelerators?: Accelerator[];
  /** Found on this machine, or in part declared in its configuration. */
  source?: "machine" | "declared";
  /** What could not be read, and what that means. */
  notes?: string[];
}

export interface WorkerStatus {
  name: string;
  state: string;
  progress: string;
  /** Its last error, also after it has recovered. */
  last_error?: string | null;
  last_error_ms?: number | null;
  last_success_ms?: number | null;
  /** Rounds that failed since the last one that succeeded. */
  failures?: number;
}

export interface SystemStatus {
  version: string;
  started_ms: number;
  home: string;
  address: string;
  database: string;
  workers: WorkerStatus[];
  inventory: Inventory;
}

/** Whether the worker fails now; an error that it has recovered from does not count. */
export const isFailing = (worker: WorkerStatus): boolean =>
  worker.failures === undefined ? Boolean(worker.last_error) : worker.failures > 0;

export const system = {
  status: () => request<SystemStatus>("/api/v1/system/status"),
};

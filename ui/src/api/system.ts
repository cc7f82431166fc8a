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
  source?: string;
}

export interface WorkerStatus {
  name: string;
  state: string;
  progress: string;
  last_error?: string | null;
  last_success_ms?: number | null;
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

export const system = {
  status: () => request<SystemStatus>("/api/v1/system/status"),
};

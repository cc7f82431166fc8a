import { request } from "./client";
import type { Resources } from "./system";

/** A job on a node. */
export interface NodeJob {
  job_id: string;
  name: string;
  kind: "batch" | "service";
  queue: string;
  /** Its workers there. */
  workers: number;
  held: Resources;
}

export interface NodeAccelerator {
  index: number;
  uuid: string;
  model: string;
  memory_bytes: number;
  /** Thousandths of it that nobody was given. */
  free_milli: number;
  jobs: string[];
}

export interface Node {
  name: string;
  /** The name of its row, rack and so on, by level. */
  in?: Record<string, string>;
  spot: boolean;
  drained: boolean;
  total: Resources;
  free: Resources;
  accelerators: NodeAccelerator[];
  jobs: NodeJob[];
}

export interface Nodes {
  settings: { levels?: string[] };
  nodes: Node[];
}

export const nodes = () => request<Nodes>("/api/v1/nodes");

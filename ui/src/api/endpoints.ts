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

export interface EndpointView {
  name: string;
  /** The reference that was deployed: `digits@champion` or `digits/3`. */
  model: string;
  /** The registered model behind the reference. */
  model_name?: string;
  desired_version: number | string;
  serving_version?: number | string | null;
  flavor: string;
  state: EndpointState;
  reason?: string | null;
  replicas_desired: number;
  replicas_ready: number;
  replicas: Replica[];
  requests_total: number;
  created_ms: number;
  updated_ms: number;
}

const base = "/api/v1/endpoints";

export const endpoints = {
  list: () => request<Page<EndpointView>>(base),
  get: (name: string) => request<EndpointView>(`${base}/${segment(name)}`),
};

import { headOf, type Head } from "./artifacts";
import { request, segment, send, type Page } from "./client";

export interface ModelSummary {
  name: string;
  latest_version?: number | null;
  aliases: Record<string, number>;
  updated_ms: number;
}

export interface ModelVersion {
  version: number;
  created_ms: number;
  source_version: string;
  run_id?: string | null;
  step?: string | null;
  tracking_run_id?: string | null;
  data: { name: string; version: string }[];
  code?: string | null;
  /** Null where a value was not finite. */
  metrics: Record<string, number | null>;
  flavor: "onnx" | "gguf" | "pyfunc" | "other";
  description?: string;
  tags?: Record<string, string>;
  registered_by?: string;
  stage?: string;
  /** Absent while nobody has looked at its files. */
  checked?: FileCounts;
}

/** How many files of a version are what. */
export interface FileCounts {
  damaged: number;
  unsafe: number;
  verified: number;
  unknown: number;
  unread: number;
}

export interface FileCheck {
  path: string;
  size_bytes: number;
  verdict: "damaged" | "unsafe" | "verified" | "unknown";
  format?: string;
  detail?: string;
  at_byte?: number;
}

export interface Decision {
  actor: string;
  approved: boolean;
  reason: string;
  decided_ms: number;
}

/** A version with what was found in its files and what people said of it. */
export interface VersionDetail extends ModelVersion {
  checked_ms?: number;
  files?: FileCheck[];
  /** What it says of itself; inputs and outputs are JSON. */
  model?: { flavors?: string[]; inputs?: string; outputs?: string; params?: string; input_example?: string };
  decisions: Decision[];
  missing_approval?: string;
}

export interface Protection {
  approvals: number;
  /** None is all of them. */
  aliases: string[];
  self_approval: boolean;
  set_by: string;
  set_ms: number;
}

export interface ModelEvent {
  sequence: number;
  at_ms: number;
  actor: string;
  action: string;
  version?: number;
  details: Record<string, unknown>;
}

export interface Model {
  name: string;
  description?: string;
  tags?: Record<string, string>;
  aliases: Record<string, number>;
  protection?: Protection;
  versions: ModelVersion[];
}

const base = "/api/v1/models";

export const models = {
  list: () => request<Page<ModelSummary>>(base),
  get: (name: string) => request<Model>(`${base}/${segment(name)}`),
  version: (name: string, version: number) => request<VersionDetail>(`${base}/${segment(name)}/versions/${version}`),
  check: (name: string, version: number) =>
    request<unknown>(`${base}/${segment(name)}/versions/${version}/check`, { method: "POST", body: {} }),
  decide: (name: string, version: number, decision: "approved" | "rejected", reason: string) =>
    request<unknown>(`${base}/${segment(name)}/versions/${version}/decisions`, { method: "POST", body: { decision, reason } }),
  protect: (name: string, wanted: Pick<Protection, "approvals" | "aliases" | "self_approval">) =>
    request<Protection>(`${base}/${segment(name)}/protection`, { method: "PUT", body: wanted }),
  unprotect: (name: string) => request<unknown>(`${base}/${segment(name)}/protection`, { method: "DELETE" }),
  events: (name: string, page_token: string | undefined) =>
    request<Page<ModelEvent>>(`${base}/${segment(name)}/events`, { query: { limit: 20, page_token } }),
  /** The beginning of a file of a version. */
  file: async (name: string, version: number, path: string, limit: number, signal?: AbortSignal): Promise<Head> =>
    headOf(await send("/model-versions/get-artifact", { query: { name, version, path }, accept: "*/*", signal }), limit),
  setAlias: (name: string, alias: string, version: number) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "PUT", body: { version } }),
  /** Moves an alias only where it still points to what was seen; `seen` is undefined where there was none. */
  moveAlias: (name: string, alias: string, version: number, seen: number | undefined) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "PUT", body: { version, expected_version: seen ?? 0 } }),
  removeAlias: (name: string, alias: string) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "DELETE" }),
};

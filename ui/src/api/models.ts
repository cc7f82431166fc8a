import { request, segment, type Page } from "./client";

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
  flavor: "onnx" | "gguf" | "other";
  description?: string;
  tags?: Record<string, string>;
}

export interface Model {
  name: string;
  description?: string;
  tags?: Record<string, string>;
  aliases: Record<string, number>;
  versions: ModelVersion[];
}

const base = "/api/v1/models";

export const models = {
  list: () => request<Page<ModelSummary>>(base),
  get: (name: string) => request<Model>(`${base}/${segment(name)}`),
  setAlias: (name: string, alias: string, version: number) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "PUT", body: { version } }),
  /** Moves an alias only where it still points to what was seen; `seen` is undefined where there was none. */
  moveAlias: (name: string, alias: string, version: number, seen: number | undefined) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "PUT", body: { version, expected_version: seen ?? 0 } }),
  removeAlias: (name: string, alias: string) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "DELETE" }),
};

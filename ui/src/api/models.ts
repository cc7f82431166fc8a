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
}

export interface Model {
  name: string;
  aliases: Record<string, number>;
  versions: ModelVersion[];
}

const base = "/api/v1/models";

export const models = {
  list: () => request<Page<ModelSummary>>(base),
  get: (name: string) => request<Model>(`${base}/${segment(name)}`),
  setAlias: (name: string, alias: string, version: number) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "PUT", body: { version } }),
  removeAlias: (name: string, alias: string) =>
    request<unknown>(`${base}/${segment(name)}/aliases/${segment(alias)}`, { method: "DELETE" }),
};

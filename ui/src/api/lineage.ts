import { request } from "./client";

export interface LineageNode {
  id: string;
  kind: string;
  label: string;
}

export interface LineageEdge {
  from: string;
  to: string;
  relation: string;
}

export interface Lineage {
  nodes: LineageNode[];
  edges: LineageEdge[];
}

export type LineageDirection = "up" | "down" | "both";

export const lineage = (node: string, direction: LineageDirection) =>
  request<Lineage>("/api/v1/lineage", { query: { node, direction } });

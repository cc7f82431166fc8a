// A run for tests.
import type { TrackingRun } from "../../api/tracking";

interface Made {
  metrics?: Record<string, number>;
  params?: Record<string, string>;
  tags?: Record<string, string>;
  state?: TrackingRun["state"];
  name?: string;
  ended_ms?: number;
}

export const aRun = (id: string, made: Made = {}): TrackingRun => ({
  id, experiment: "1", name: made.name ?? id, user: "", state: made.state ?? "finished", started_ms: 1000, ended_ms: made.ended_ms, deleted: false, artifact_uri: "",
  metrics: new Map(Object.entries(made.metrics ?? {}).map(([key, value]) => [key, { key, value, timestamp: 0, step: 0 }])),
  params: new Map(Object.entries(made.params ?? {})),
  tags: new Map(Object.entries(made.tags ?? {})),
  datasets: [],
  models: [],
});

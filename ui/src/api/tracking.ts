// Experiments and tracking runs, over the MLflow REST API that the server also speaks to clients.
import { request, type Page } from "./client";

export interface MetricPoint {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

export interface Experiment {
  id: string;
  name: string;
  updated_ms: number;
}

/** A run as a list shows it: its latest metrics, no history. */
export interface TrackingRun {
  id: string;
  experiment: string;
  name: string;
  state: "running" | "scheduled" | "finished" | "failed" | "killed";
  started_ms: number;
  ended_ms?: number;
  metrics: MetricPoint[];
  params: { key: string; value: string }[];
  tags: { key: string; value: string }[];
}

// MLflow clients and servers write 64-bit integers and non-finite numbers as text.
interface WirePoint {
  key: string;
  value: number | string;
  timestamp: number | string;
  step?: number | string;
}

interface WireRun {
  info: {
    run_id: string;
    run_name?: string;
    experiment_id: string;
    status: string;
    start_time?: number | string;
    end_time?: number | string;
  };
  data?: {
    metrics?: WirePoint[];
    params?: { key: string; value: string }[];
    tags?: { key: string; value: string }[];
  };
}

interface WireExperiment {
  experiment_id: string;
  name: string;
  last_update_time?: number | string;
}

const base = "/api/2.0/mlflow";
const MAX_PAGES = 20;

const point = (wire: WirePoint): MetricPoint => ({
  key: wire.key,
  value: Number(wire.value),
  timestamp: Number(wire.timestamp),
  step: Number(wire.step ?? 0),
});

const trackingRun = ({ info, data }: WireRun): TrackingRun => ({
  id: info.run_id,
  experiment: info.experiment_id,
  name: info.run_name || info.run_id,
  state: info.status.toLowerCase() as TrackingRun["state"],
  started_ms: Number(info.start_time ?? 0),
  ended_ms: info.end_time ? Number(info.end_time) : undefined,
  metrics: (data?.metrics ?? []).map(point),
  params: data?.params ?? [],
  tags: data?.tags ?? [],
});

const experiment = (wire: WireExperiment): Experiment => ({
  id: wire.experiment_id,
  name: wire.name,
  updated_ms: Number(wire.last_update_time ?? 0),
});

export const tracking = {
  experiments: async (page_token?: string): Promise<Page<Experiment>> => {
    const answer = await request<{ experiments?: WireExperiment[]; next_page_token?: string }>(
      `${base}/experiments/search`,
      { method: "POST", body: { max_results: 100, order_by: ["last_update_time DESC"], page_token } },
    );
    return { items: (answer.experiments ?? []).map(experiment), next_page_token: answer.next_page_token || undefined };
  },
  experiment: async (id: string): Promise<Experiment> =>
    experiment((await request<{ experiment: WireExperiment }>(`${base}/experiments/get`, { query: { experiment_id: id } })).experiment),
  runs: async (experimentId: string, page_token?: string): Promise<Page<TrackingRun>> => {
    const answer = await request<{ runs?: WireRun[]; next_page_token?: string }>(
      `${base}/runs/search`,
      { method: "POST", body: { experiment_ids: [experimentId], max_results: 50, page_token } },
    );
    return { items: (answer.runs ?? []).map(trackingRun), next_page_token: answer.next_page_token || undefined };
  },
  run: async (runId: string): Promise<TrackingRun> =>
    trackingRun((await request<{ run: WireRun }>(`${base}/runs/get`, { query: { run_id: runId } })).run),
  history: async (runId: string, key: string): Promise<MetricPoint[]> => {
    const points: MetricPoint[] = [];
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer = await request<{ metrics?: WirePoint[]; next_page_token?: string }>(
        `${base}/metrics/get-history`,
        { query: { run_id: runId, metric_key: key, page_token: token } },
      );
      points.push(...(answer.metrics ?? []).map(point));
      token = answer.next_page_token || undefined;
      if (!token) break;
    }
    return points;
  },
};

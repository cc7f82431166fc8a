// The metrics of a tracking run, over the MLflow REST API that the server also speaks to clients.
import { request } from "./client";

export interface MetricPoint {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

export interface TrackingRun {
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
  run: {
    data?: {
      metrics?: WirePoint[];
      params?: { key: string; value: string }[];
      tags?: { key: string; value: string }[];
    };
  };
}

const base = "/api/2.0/mlflow";
const MAX_PAGES = 20;

const point = (wire: WirePoint): MetricPoint => ({
  key: wire.key,
  value: Number(wire.value),
  timestamp: Number(wire.timestamp),
  step: Number(wire.step ?? 0),
});

export const tracking = {
  run: async (runId: string): Promise<TrackingRun> => {
    const { run } = await request<WireRun>(`${base}/runs/get`, { query: { run_id: runId } });
    return {
      metrics: (run.data?.metrics ?? []).map(point),
      params: run.data?.params ?? [],
      tags: run.data?.tags ?? [],
    };
  },
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

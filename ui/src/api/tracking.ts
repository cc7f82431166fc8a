// Experiments and tracking runs, over the MLflow REST API that the server also speaks to clients.
import { request, segment } from "./client";

export interface MetricPoint {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

export interface Experiment {
  id: string;
  name: string;
  created_ms: number;
  updated_ms: number;
  tags: Map<string, string>;
}

export interface RunDataset {
  name: string;
  digest: string;
  source_type: string;
  source: string;
  /** What it was used for, such as `training`. */
  context?: string;
}

/** A run with its latest metrics, no history. Names are anybody's, such as `constructor`: hence maps. */
export interface TrackingRun {
  id: string;
  experiment: string;
  name: string;
  user: string;
  state: "running" | "scheduled" | "finished" | "failed" | "killed";
  started_ms: number;
  ended_ms?: number;
  deleted: boolean;
  artifact_uri: string;
  metrics: Map<string, MetricPoint>;
  params: Map<string, string>;
  tags: Map<string, string>;
  datasets: RunDataset[];
  /** Logged models that it made. */
  models: { id: string; step?: number }[];
}

export interface LoggedModel {
  id: string;
  experiment: string;
  /** The run that made it. */
  run?: string;
  name: string;
  type: string;
  status: string;
  artifact_uri: string;
  created_ms: number;
}

export interface RegisteredVersion {
  name: string;
  version: string;
  /** The logged model that it was registered from. */
  model_id?: string;
}

export interface RunSearch {
  experiment: string;
  filter: string;
  /** A clause such as `metrics.loss ASC`; none is newest first. */
  order?: string;
  stage: "active" | "deleted";
}

interface Pair {
  key: string;
  value: string;
}

// MLflow clients and servers write 64-bit integers and non-finite numbers as text.
interface WirePoint {
  key: string;
  value: number | string;
  timestamp: number | string;
  step?: number | string;
  run_id?: string;
}

interface WireRun {
  info: {
    run_id: string;
    run_name?: string;
    experiment_id: string;
    user_id?: string;
    status: string;
    start_time?: number | string;
    end_time?: number | string;
    lifecycle_stage?: string;
    artifact_uri?: string;
  };
  data?: { metrics?: WirePoint[]; params?: Pair[]; tags?: Pair[] };
  inputs?: { dataset_inputs?: { dataset: RunDataset; tags?: Pair[] }[] };
  outputs?: { model_outputs?: { model_id: string; step?: number | string }[] };
}

interface WireExperiment {
  experiment_id: string;
  name: string;
  creation_time?: number | string;
  last_update_time?: number | string;
  tags?: Pair[];
}

interface WireModel {
  info: { model_id: string; experiment_id?: string; source_run_id?: string; name: string; model_type?: string; status?: string; artifact_uri: string; creation_timestamp_ms?: number | string };
}

const base = "/api/2.0/mlflow";

const post = <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> => request<T>(`${base}/${path}`, { method: "POST", body, signal });

const mapOf = (pairs: Pair[] = []): Map<string, string> => new Map(pairs.map(({ key, value }) => [key, value]));

const point = (wire: WirePoint): MetricPoint => ({
  key: wire.key,
  value: Number(wire.value),
  timestamp: Number(wire.timestamp),
  step: Number(wire.step ?? 0),
});

const trackingRun = ({ info, data, inputs, outputs }: WireRun): TrackingRun => {
  const tags = mapOf(data?.tags);
  return {
    id: info.run_id,
    experiment: info.experiment_id,
    name: info.run_name || info.run_id,
    user: tags.get("mlflow.user") || info.user_id || "",
    state: info.status.toLowerCase() as TrackingRun["state"],
    started_ms: Number(info.start_time ?? 0),
    ended_ms: info.end_time ? Number(info.end_time) : undefined,
    deleted: info.lifecycle_stage === "deleted",
    artifact_uri: info.artifact_uri ?? "",
    metrics: new Map((data?.metrics ?? []).map((one) => [one.key, point(one)])),
    params: mapOf(data?.params),
    tags,
    datasets: (inputs?.dataset_inputs ?? []).map((one) => ({ ...one.dataset, context: mapOf(one.tags).get("mlflow.data.context") })),
    models: (outputs?.model_outputs ?? []).map((one) => ({ id: one.model_id, step: one.step === undefined ? undefined : Number(one.step) })),
  };
};

const experiment = (wire: WireExperiment): Experiment => ({
  id: wire.experiment_id,
  name: wire.name,
  created_ms: Number(wire.creation_time ?? 0),
  updated_ms: Number(wire.last_update_time ?? 0),
  tags: mapOf(wire.tags),
});

const loggedModel = ({ info }: WireModel): LoggedModel => ({
  id: info.model_id,
  experiment: info.experiment_id ?? "0",
  run: info.source_run_id || undefined,
  name: info.name,
  type: info.model_type ?? "",
  status: (info.status ?? "").replace(/^LOGGED_MODEL_/, "").toLowerCase(),
  artifact_uri: info.artifact_uri,
  created_ms: Number(info.creation_timestamp_ms ?? 0),
});

/**
 * The token of the page after `offset` items, in the form that MLflow's servers and this one give. A table that may be
 * scrolled to anywhere cannot walk there page by page.
 */
export const tokenAt = (offset: number): string | undefined => (offset === 0 ? undefined : btoa(JSON.stringify({ offset })));

export const tracking = {
  experiments: async (words: string, page_token?: string): Promise<{ items: Experiment[]; next_page_token?: string }> => {
    const filter = words === "" ? undefined : `name ILIKE '%${words.replaceAll("'", "''")}%'`;
    const answer = await post<{ experiments?: WireExperiment[]; next_page_token?: string }>(
      "experiments/search", { max_results: 100, order_by: ["last_update_time DESC"], filter, page_token },
    );
    return { items: (answer.experiments ?? []).map(experiment), next_page_token: answer.next_page_token || undefined };
  },
  experiment: async (id: string): Promise<Experiment> =>
    experiment((await request<{ experiment: WireExperiment }>(`${base}/experiments/get`, { query: { experiment_id: id } })).experiment),
  setExperimentTag: (experiment_id: string, key: string, value: string) => post<unknown>("experiments/set-experiment-tag", { experiment_id, key, value }),
  deleteExperimentTag: (experiment_id: string, key: string) => post<unknown>("experiments/delete-experiment-tag", { experiment_id, key }),
  /** `limit` runs from the one at `offset`, and whether there are more. */
  runs: async (search: RunSearch, offset: number, limit: number, signal?: AbortSignal): Promise<{ items: TrackingRun[]; more: boolean }> => {
    const answer = await post<{ runs?: WireRun[]; next_page_token?: string }>("runs/search", {
      experiment_ids: [search.experiment],
      filter: search.filter,
      order_by: search.order === undefined ? undefined : [search.order],
      run_view_type: search.stage === "deleted" ? "DELETED_ONLY" : "ACTIVE_ONLY",
      max_results: limit,
      page_token: tokenAt(offset),
    }, signal);
    return { items: (answer.runs ?? []).map(trackingRun), more: Boolean(answer.next_page_token) };
  },
  run: async (runId: string): Promise<TrackingRun> =>
    trackingRun((await request<{ run: WireRun }>(`${base}/runs/get`, { query: { run_id: runId } })).run),
  /** Runs by id, deleted ones too, in the order asked for. What is not there is left out. */
  runsById: async (experimentId: string, ids: string[]): Promise<TrackingRun[]> => {
    const answer = await post<{ runs?: WireRun[] }>("runs/search", {
      experiment_ids: [experimentId],
      filter: `run_id IN (${ids.map((id) => `'${id.replaceAll("'", "''")}'`).join(", ")})`,
      run_view_type: "ALL",
      max_results: ids.length,
    });
    const found = new Map((answer.runs ?? []).map((one) => [one.info.run_id, trackingRun(one)]));
    return ids.flatMap((id) => found.get(id) ?? []);
  },
  children: async (run: TrackingRun, limit: number): Promise<{ items: TrackingRun[]; more: boolean }> =>
    tracking.runs({ experiment: run.experiment, filter: `tags.\`mlflow.parentRunId\` = '${run.id}'`, stage: "active" }, 0, limit),
  deleteRun: (run_id: string) => post<unknown>("runs/delete", { run_id }),
  restoreRun: (run_id: string) => post<unknown>("runs/restore", { run_id }),
  renameRun: (run_id: string, run_name: string) => post<unknown>("runs/update", { run_id, run_name }),
  setTag: (run_id: string, key: string, value: string) => post<unknown>("runs/set-tag", { run_id, key, value }),
  deleteTag: (run_id: string, key: string) => post<unknown>("runs/delete-tag", { run_id, key }),
  /** At most `points` points a run, evenly chosen by the server, each run's last always among them. */
  curves: async (runIds: string[], key: string, points: number, steps?: [number, number], signal?: AbortSignal): Promise<Map<string, MetricPoint[]>> => {
    const answer = await request<{ metrics?: WirePoint[] }>(`${base}/metrics/get-history-bulk-interval`, {
      query: { run_ids: runIds, metric_key: key, max_results: points, start_step: steps?.[0], end_step: steps?.[1] }, signal,
    });
    const found = new Map<string, MetricPoint[]>(runIds.map((id) => [id, []]));
    for (const one of answer.metrics ?? []) found.get(one.run_id ?? "")?.push(point(one));
    return found;
  },
  loggedModel: async (id: string): Promise<LoggedModel> =>
    loggedModel((await request<{ model: WireModel }>(`${base}/logged-models/${segment(id)}`, { query: { allow_deleted: true } })).model),
  loggedModels: (ids: string[]): Promise<LoggedModel[]> => Promise.all(ids.map(tracking.loggedModel)),
  /** Versions of registered models that came from a run. */
  registered: async (runId: string): Promise<RegisteredVersion[]> =>
    (await request<{ model_versions?: RegisteredVersion[] }>(`${base}/model-versions/search`, { query: { filter: `run_id = '${runId}'`, max_results: 100 } })).model_versions ?? [],
  /** The logged model that a version was registered from, if it was one. */
  modelOf: async (name: string, version: number): Promise<string | undefined> =>
    (await request<{ model_version: RegisteredVersion }>(`${base}/model-versions/get`, { query: { name, version } })).model_version.model_id || undefined,
};

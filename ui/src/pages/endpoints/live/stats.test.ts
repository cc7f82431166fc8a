import { expect, it } from "vitest";
import type { EndpointStats, EngineStats } from "../../../api/endpoints";
import { BEYOND_MS, BOUNDS_MS, gapQuantile, inFlightOf, isUntouched, pointsOf, quantile, SPAN_MS, WINDOW_MS, withSample, type Point, type Sample } from "./stats";

const none = (): number[] => new Array<number>(BOUNDS_MS.length + 1).fill(0);

const stats = (change: Partial<EndpointStats> = {}): EndpointStats => ({
  requests_total: 0, failed_total: 0, invalid_total: 0, cancelled_total: 0, refused_total: 0, retries_total: 0, hedges_total: 0, fallbacks_total: 0,
  prompt_tokens_total: 0, cached_tokens_total: 0, completion_tokens_total: 0, latency_ms_sum: 0,
  latency_buckets: none(), first_token_buckets: none(), in_flight: [], engines: [], ...change,
});

/** Counts by bucket: `at(250)` is the bucket that 250 ms bounds. */
const counts = (...filled: [bound: number | undefined, count: number][]): number[] => {
  const all = none();
  for (const [bound, count] of filled) all[bound === undefined ? BOUNDS_MS.length : BOUNDS_MS.indexOf(bound)] = count;
  return all;
};

it("interpolates percentiles within their bucket, in the milliseconds that the server rounded down", () => {
  // The bucket that 250 bounds holds what took 101 ms to just under 251.
  expect(quantile(0.5, counts([250, 4]))).toBeCloseTo(176);
  expect(quantile(0.5, counts([50, 1], [250, 3]))).toBeCloseTo(151);
  expect(quantile(1, counts([1, 10]))).toBe(2);
  expect(quantile(0.99, counts([1, 99], [5_000, 1]))).toBe(2);
});

it("says no more than is known: nothing of nothing, and that it was longer than the last bound", () => {
  expect(quantile(0.5, none())).toBeUndefined();
  expect(quantile(0.99, counts([10, 90], [undefined, 10]))).toBe(BEYOND_MS);
  expect(quantile(1, counts([60_000, 3]))).toBe(60_000);
  // Other buckets than those known here.
  expect(quantile(0.5, [1, 2, 3])).toBeUndefined();
});

it("makes rates and shares of two readings", () => {
  const samples: Sample[] = [
    { at: 0, stats: stats({ requests_total: 100, failed_total: 1, prompt_tokens_total: 1000, cached_tokens_total: 900, latency_buckets: counts([1, 100]) }) },
    { at: 2000, stats: stats({ requests_total: 110, failed_total: 3, refused_total: 4, prompt_tokens_total: 1400, cached_tokens_total: 1000, completion_tokens_total: 50, latency_buckets: counts([1, 100], [100, 10]) }) },
  ];
  const [point] = pointsOf(samples) as Point[];
  expect(point).toMatchObject({ at: 2000, requests: 5, failed: 1, refused: 2, tokens_in: 200, tokens_out: 25, cached_share: 0.25, first_p99: undefined });
  // What was counted before the first reading says nothing of now.
  expect(point?.latency_p50).toBeCloseTo(76);
});

it("looks back over the span, not further", () => {
  const samples = Array.from({ length: 12 }, (_, index): Sample => ({ at: index * 2000, stats: stats({ requests_total: index === 0 ? 0 : 20 }) }));
  const rates = (pointsOf(samples) as Point[]).map((one) => one.requests);
  expect(rates.slice(0, 5)).toEqual([10, 5, 20 / 6, 2.5, 2]);
  expect(SPAN_MS).toBe(10_000);
  expect(rates.slice(5)).toEqual([0, 0, 0, 0, 0, 0]);
});

it("draws nothing across a time in which nobody read", () => {
  const samples: Sample[] = [0, 2000, 90_000, 92_000].map((at, index) => ({ at, stats: stats({ requests_total: index * 10 }) }));
  const points = pointsOf(samples);
  expect(points[1]).toEqual({ at: 90_000 });
  expect(points[2]).toMatchObject({ at: 92_000, requests: 5 });
});

it("keeps a bounded window, and begins anew with a server that did or a clock that was set back", () => {
  let samples: Sample[] = [];
  for (let at = 0; at <= 2 * WINDOW_MS; at += 2000) samples = withSample(samples, { at, stats: stats({ requests_total: at }) });
  expect(samples).toHaveLength(WINDOW_MS / 2000 + 1);
  expect(samples[0]?.at).toBe(WINDOW_MS);
  const again = { at: 2 * WINDOW_MS + 2000, stats: stats({ requests_total: 3 }) };
  expect(withSample(samples, again)).toEqual([again]);
  const back = { at: 5, stats: stats({ requests_total: 1e9 }) };
  expect(withSample(samples, back)).toEqual([back]);
});

it("follows replicas that come and go, and draws no line over a time in which nobody read", () => {
  const read: [number, [string, number][]][] = [[0, [["rep_a", 3]]], [2000, [["rep_a", 1], ["rep_b", 2]]], [4000, [["rep_b", 0]]], [60_000, [["rep_b", 5]]]];
  expect(inFlightOf(read.map(([at, in_flight]) => ({ at, stats: stats({ in_flight }) })))).toEqual({
    at: [0, 2000, 4000, 59_999, 60_000],
    replicas: [{ replica: "rep_a", counts: [3, 1, undefined, undefined, undefined] }, { replica: "rep_b", counts: [undefined, 2, 0, undefined, 5] }],
  });
});

it("tells an endpoint that was never asked from one that is", () => {
  expect(isUntouched(stats({ in_flight: [["rep_a", 0]] }))).toBe(true);
  expect(isUntouched(stats({ in_flight: [["rep_a", 1]] }))).toBe(false);
  expect(isUntouched(stats({ refused_total: 1 }))).toBe(false);
});

const engine = (replica: string, change: Partial<EngineStats> = {}): EngineStats => ({
  replica, running: 0, sequences_max: 8, waiting: 0, kv_permille: 0, batches_total: 0, batched_total: 0,
  token_gap_bounds_us: [1_000, 5_000, 10_000], token_gap_buckets: [], ...change,
});

it("adds up what each engine did, and begins anew with one that was started anew", () => {
  const before = [engine("a", { batches_total: 10, batched_total: 20, token_gap_buckets: [5, 5, 0, 0] }), engine("b", { batches_total: 90, batched_total: 90 })];
  const after = [
    engine("a", { running: 3, batches_total: 14, batched_total: 32, token_gap_buckets: [5, 9, 0, 0] }),
    engine("b", { running: 1, batches_total: 4, batched_total: 4, token_gap_buckets: [0, 0, 4, 0] }),
    engine("c", { sequences_max: 4 }),
  ];
  const [point] = pointsOf([{ at: 0, stats: stats({ engines: before }) }, { at: 2000, stats: stats({ engines: after }) }]) as Point[];
  expect(point).toMatchObject({ running: 4, sequences_max: 20, batch_mean: 2 });
  // Four between 1 and 5 ms, four between 5 and 10 ms.
  expect(point?.gap_p50).toBeCloseTo(5);
  expect(point?.gap_p99).toBeCloseTo(9.9);
});

it("tells of no engine where none answered, and of no time between tokens where none followed another", () => {
  const [silent] = pointsOf([{ at: 0, stats: stats() }, { at: 2000, stats: stats() }]) as Point[];
  expect(silent?.running).toBeUndefined();
  const [idle] = pointsOf([{ at: 0, stats: stats({ engines: [engine("a")] }) }, { at: 2000, stats: stats({ engines: [engine("a")] }) }]) as Point[];
  expect(idle).toMatchObject({ running: 0, sequences_max: 8 });
  expect(idle?.gap_p50).toBeUndefined();
  expect(idle?.batch_mean).toBeUndefined();
  expect(gapQuantile(0.99, [0, 0, 0, 2], [1_000, 5_000, 10_000])).toBe(BEYOND_MS);
});

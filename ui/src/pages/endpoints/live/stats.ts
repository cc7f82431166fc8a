// From counters that were read every few seconds to what happened in between: rates, percentiles, shares.
import type { EndpointStats, EngineStats } from "../../../api/endpoints";

/** How often the counters are read. */
export const POLL_MS = 2000;

/** What is drawn at most. */
export const WINDOW_MS = 10 * 60_000;

/** What one point of a chart looks back on: long enough that a few requests a second make a percentile. */
export const SPAN_MS = 10_000;

/** A page that was not looked at read nothing: what happened meanwhile belongs to no point. */
const GAP_MS = SPAN_MS + POLL_MS;

/** Upper bounds of the server's histograms; a last bucket holds the rest. */
export const BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000];

const LAST_MS = 60_000;

/** Stands for whatever took longer than the last bound: how long is not known. */
export const BEYOND_MS = LAST_MS + 1;

export interface Sample {
  at: number;
  stats: EndpointStats;
}

/** What happened in the span before a moment; a member is absent where nothing happened that it could tell of. */
export interface Point {
  at: number;
  requests: number;
  failed: number;
  invalid: number;
  cancelled: number;
  refused: number;
  latency_p50?: number;
  latency_p99?: number;
  first_p50?: number;
  first_p99?: number;
  tokens_in: number;
  tokens_out: number;
  cached_share?: number;
  /** Between one token of an answer and the next, in milliseconds. */
  gap_p50?: number;
  gap_p99?: number;
  /** Sequences in a batch, on average. */
  batch_mean?: number;
  /** Sequences that the engines compute at this moment, and at most. */
  running?: number;
  sequences_max?: number;
}

/**
 * The value below which this share of what was counted lies, in milliseconds, interpolated within its bucket. The server
 * counts whole milliseconds, rounded down: a bucket bounded by 5 after 2 holds what took from 3 to just under 6.
 */
export function quantile(share: number, counts: number[]): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0 || counts.length !== BOUNDS_MS.length + 1) return undefined;
  const rank = share * total;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count <= 0 || below + count < rank) {
      below += count;
      continue;
    }
    const bound = BOUNDS_MS[index];
    if (bound === undefined) return BEYOND_MS;
    const before = BOUNDS_MS[index - 1];
    const from = before === undefined ? 0 : before + 1;
    // The last millisecond of the last bucket is not above its bound.
    return Math.min(LAST_MS, from + ((bound + 1 - from) * (rank - below)) / count);
  }
  return undefined;
}

/** As `quantile`, of times that were counted to the microsecond, with bounds of their own. */
export function gapQuantile(share: number, counts: number[], boundsUs: number[]): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  const rank = share * total;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const bound = boundsUs[index];
      if (bound === undefined) return BEYOND_MS;
      const from = boundsUs[index - 1] ?? 0;
      return (from + ((bound - from) * (rank - below)) / count) / 1000;
    }
    below += count;
  }
  return undefined;
}

/** How much a counter of an engine rose; one that was started anew began at nothing. */
const rose = (now: number, before: number | undefined): number => (before === undefined || now < before ? now : now - before);

/** What the engines did between two readings; nothing where none of them answered. */
function engineParts(before: EngineStats[], now: EngineStats[]): Partial<Point> {
  const [first] = now;
  if (first === undefined) return {};
  const gaps: number[] = [];
  let [batches, batched] = [0, 0];
  for (const engine of now) {
    const last = before.find((one) => one.replica === engine.replica);
    const old = last !== undefined && last.batches_total <= engine.batches_total ? last : undefined;
    batches += rose(engine.batches_total, old?.batches_total);
    batched += rose(engine.batched_total, old?.batched_total);
    engine.token_gap_buckets.forEach((count, index) => {
      gaps[index] = (gaps[index] ?? 0) + rose(count, old?.token_gap_buckets[index]);
    });
  }
  const sum = (of: (engine: EngineStats) => number): number => now.reduce((all, engine) => all + of(engine), 0);
  return {
    gap_p50: gapQuantile(0.5, gaps, first.token_gap_bounds_us),
    gap_p99: gapQuantile(0.99, gaps, first.token_gap_bounds_us),
    batch_mean: batches > 0 ? batched / batches : undefined,
    running: sum((engine) => engine.running),
    sequences_max: sum((engine) => engine.sequences_max),
  };
}

/** Counters fall only where the server was started anew. */
const restarted = (before: EndpointStats, after: EndpointStats): boolean =>
  after.requests_total < before.requests_total || after.refused_total < before.refused_total || after.prompt_tokens_total < before.prompt_tokens_total;

/** The samples with one more, without those that no chart shows any more. A clock that was set back begins anew. */
export function withSample(samples: Sample[], next: Sample): Sample[] {
  const last = samples[samples.length - 1];
  if (last && (next.at < last.at || restarted(last.stats, next.stats))) return [next];
  if (last && next.at === last.at) return samples;
  return [...samples.filter((one) => one.at >= next.at - WINDOW_MS), next];
}

function pointOf(before: Sample, after: Sample): Point {
  const seconds = (after.at - before.at) / 1000;
  const [old, now] = [before.stats, after.stats];
  const rate = (count: number): number => count / seconds;
  const counted = (key: "latency_buckets" | "first_token_buckets"): number[] => now[key].map((count, index) => count - (old[key][index] ?? 0));
  const [latency, first] = [counted("latency_buckets"), counted("first_token_buckets")];
  const prompts = now.prompt_tokens_total - old.prompt_tokens_total;
  return {
    at: after.at,
    requests: rate(now.requests_total - old.requests_total),
    failed: rate(now.failed_total - old.failed_total),
    invalid: rate(now.invalid_total - old.invalid_total),
    cancelled: rate(now.cancelled_total - old.cancelled_total),
    refused: rate(now.refused_total - old.refused_total),
    latency_p50: quantile(0.5, latency),
    latency_p99: quantile(0.99, latency),
    first_p50: quantile(0.5, first),
    first_p99: quantile(0.99, first),
    tokens_in: rate(prompts),
    tokens_out: rate(now.completion_tokens_total - old.completion_tokens_total),
    cached_share: prompts > 0 ? (now.cached_tokens_total - old.cached_tokens_total) / prompts : undefined,
    ...engineParts(old.engines, now.engines),
  };
}

/** A point for each sample that has one before it, looking back over the span; nothing across a gap. */
export function pointsOf(samples: Sample[]): (Point | { at: number })[] {
  let from = 0;
  return samples.flatMap((sample, index) => {
    const last = samples[index - 1];
    if (last === undefined) return [];
    if (sample.at - last.at > GAP_MS) {
      from = index;
      return [{ at: sample.at }];
    }
    // Half a poll of tolerance, or the sample of exactly a span ago is taken by chance.
    while (from < index - 1 && (samples[from]?.at ?? 0) < sample.at - SPAN_MS - POLL_MS / 2) from += 1;
    const before = samples[from];
    return before ? [pointOf(before, sample)] : [];
  });
}

export interface InFlight {
  at: number[];
  /** How many each replica had at each moment; undefined where it was not there, or nobody read. */
  replicas: { replica: string; counts: (number | undefined)[] }[];
}

/** Requests in flight at each sample, of every replica that was there at some time. */
export function inFlightOf(samples: Sample[]): InFlight {
  const ids = [...new Set(samples.flatMap(({ stats }) => stats.in_flight.map(([id]) => id)))].sort();
  const moments = samples.flatMap((sample, index) => {
    const last = samples[index - 1];
    const moment = { at: sample.at, known: new Map(sample.stats.in_flight) };
    return last && sample.at - last.at > GAP_MS ? [{ at: sample.at - 1, known: new Map<string, number>() }, moment] : [moment];
  });
  return { at: moments.map((one) => one.at), replicas: ids.map((replica) => ({ replica, counts: moments.map((one) => one.known.get(replica)) })) };
}

/** Nothing was ever asked of it, as far as the running server knows. */
export const isUntouched = (stats: EndpointStats): boolean =>
  stats.requests_total === 0 && stats.refused_total === 0 && stats.in_flight.every(([, count]) => count === 0);

// What is told of a request, in words.
import type { Outcome, Reason, RequestRecord } from "../../../api/endpoints";
import { count, duration, plural, words } from "../../../lib/format";

/** A measured time; microseconds matter below ten milliseconds. */
export function micros(us: number | null): string {
  if (us === null) return "–";
  if (us < 1000) return `${us} µs`;
  return us < 10_000 ? `${(us / 1000).toFixed(1)} ms` : duration(us / 1000);
}

const REASONS: Record<string, (reason: Reason) => string> = {
  turn: () => "its turn",
  weight: () => "its share by weight was due",
  fewest_in_flight: ({ in_flight = 0 }) => (in_flight === 0 ? "it was idle" : `fewest in flight: ${count(in_flight)}`),
  faster_of_two: ({ cost_us = 0 }) => `the faster of two, expected in ${micros(cost_us)}`,
  fewest_tokens: ({ tokens = 0 }) => `fewest tokens to compute: ${count(tokens)}`,
  prefix_hit: ({ blocks = 0 }) => `the prompt's beginning is cached there: ${plural(blocks, "block")}`,
  prefix_miss: () => "the prompt is cached nowhere: the less busy of two",
  imbalance_bound: () => "the replica with the prompt in its cache has too much to do: the less busy of two",
  affinity_kept: () => "the session's own replica",
  affinity_moved: () => "the session's own replica is aside: the session's next one",
  only_one: () => "there was no other",
  last_resort: () => "all are aside; trying is better than refusing",
};

/** Why this replica. */
export function why(reason: Reason | null): string {
  if (reason === null) return "no replica was asked";
  return REASONS[reason.why]?.(reason) ?? words(reason.why);
}

/** `1`, `2, hedged`. */
export const attempts = (one: Pick<RequestRecord, "attempts" | "hedged">): string => (one.hedged ? `${one.attempts}, hedged` : count(one.attempts));

/** `31 (30 cached) → 10`. What was written of an answer that did not end is not counted. */
export function tokens(one: Pick<RequestRecord, "prompt_tokens" | "cached_tokens" | "completion_tokens" | "outcome">): string {
  if (one.prompt_tokens === 0 && one.completion_tokens === 0) return "–";
  const cached = one.cached_tokens > 0 ? ` (${count(one.cached_tokens)} cached)` : "";
  return `${count(one.prompt_tokens)}${cached} → ${one.outcome === "answered" ? count(one.completion_tokens) : "–"}`;
}

const OUTCOMES: Record<Outcome, string> = {
  answered: "It was answered.",
  failed: "It was not answered, by no fault of its own.",
  invalid: "It was not answered: it is wrong in itself.",
  cancelled: "Its client went away before it was answered.",
};

export const outcome = (one: Outcome): string => OUTCOMES[one] ?? words(one);

/** Several answers of one request have its id, and come one after another. */
export function keyed<T extends { id: string }>(records: T[]): { key: string; record: T }[] {
  const seen = new Map<string, number>();
  // From the oldest on, so that a key stays what it is while newer ones come.
  return [...records].reverse().map((record) => {
    const place = seen.get(record.id) ?? 0;
    seen.set(record.id, place + 1);
    return { key: place === 0 ? record.id : `${record.id}+${place}`, record };
  }).reverse();
}

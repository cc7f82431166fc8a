import { expect, it } from "vitest";
import { attempts, keyed, micros, tokens, why } from "./words";

it("says why a replica was picked, of every reason that the router gives", () => {
  // crates/policy/serving/src/router/reason.rs
  const names = ["turn", "weight", "fewest_in_flight", "faster_of_two", "fewest_tokens", "prefix_hit", "prefix_miss", "imbalance_bound", "affinity_kept", "affinity_moved", "only_one", "last_resort"];
  for (const name of names) expect(why({ why: name }), name).not.toBe(name.replaceAll("_", " "));
  expect(why({ why: "fewest_in_flight", in_flight: 3 })).toBe("fewest in flight: 3");
  expect(why({ why: "prefix_hit", blocks: 1 })).toBe("the prompt's beginning is cached there: 1 block");
  expect(why({ why: "faster_of_two", cost_us: 24_112 })).toBe("the faster of two, expected in 24 ms");
  expect(why(null)).toBe("no replica was asked");
  expect(why({ why: "by_lot" })).toBe("by lot");
});

it("measures below a millisecond too", () => {
  expect([null, 0, 999, 1500, 24_112, 1_500_000].map(micros)).toEqual(["–", "0 µs", "999 µs", "1.5 ms", "24 ms", "1.5 s"]);
});

it("counts attempts and tokens", () => {
  expect(attempts({ attempts: 2, hedged: true })).toBe("2, hedged");
  expect(attempts({ attempts: 1, hedged: false })).toBe("1");
  expect(tokens({ prompt_tokens: 1031, cached_tokens: 30, completion_tokens: 10, outcome: "answered" })).toBe("1,031 (30 cached) → 10");
  expect(tokens({ prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0, outcome: "answered" })).toBe("–");
  expect(tokens({ prompt_tokens: 31, cached_tokens: 0, completion_tokens: 0, outcome: "cancelled" })).toBe("31 → –");
});

it("tells several answers of one request apart, and keeps their keys when newer requests come", () => {
  const keys = (ids: string[]): string[] => keyed(ids.map((id) => ({ id }))).map((one) => one.key);
  expect(keys(["b", "a", "a"])).toEqual(["b", "a+1", "a"]);
  expect(keys(["c", "b", "a", "a"])).toEqual(["c", "b", "a+1", "a"]);
});

import { expect, it } from "vitest";
import { STRATEGIES, type Routing } from "../../../api/endpoints";
import { routingSentences, ruleSentence } from "./words";

/** As `{}` is answered by the server. */
export const DEFAULT: Routing = { router: "least_connections", session_header: "x-session-id", weights: {}, prefix_slack_tokens: 512, rules: [], retry: { attempts: 2, budget_percent: 20 }, fallback: [], price: { prompt_micros: 0, answer_micros: 0, request_micros: 0 } };

it("tells what an endpoint has unless somebody says otherwise", () => {
  expect(routingSentences(DEFAULT)).toEqual([
    "As many requests are worked on at once as the server allows; more are refused with 429.",
    "A request goes to the replica with the fewest requests in flight.",
    "What fails before its answer began is tried at another replica, at most 2 replicas in all, as long as further attempts stay within 20 % of the requests.",
  ]);
});

it("tells every strategy in its own words", () => {
  const told = STRATEGIES.map((router) => routingSentences({ ...DEFAULT, router })[1] ?? "");
  expect(new Set(told).size).toBe(STRATEGIES.length);
  for (const sentence of told) expect(sentence).not.toMatch(/_/);
  expect(routingSentences({ ...DEFAULT, router: "weighted", weights: { 2: 9, 3: 1 } })[1]).toBe("Replicas take requests in proportion to the weight of their version: version 2 weighs 9, version 3 weighs 1, any other 1.");
});

it("tells what is bounded, and that a hedge needs an attempt to spare", () => {
  const told = routingSentences({ ...DEFAULT, hedge_after_ms: 200, attempt_timeout_ms: 5000, timeout_ms: 60_000, concurrent_max: 1, fallback: ["small", "other"] });
  expect(told[0]).toBe("At most 1 request is worked on at once; more are refused with 429.");
  expect(told.slice(3)).toEqual([
    "After 200 ms without a first answer a second replica is asked as well, and the faster one taken.",
    "A replica may take 5 s for its first answer, then another is asked instead.",
    "All attempts together may take 1 m for the first answer.",
    "What this endpoint cannot answer is given to small, then to other.",
  ]);
  const alone = routingSentences({ ...DEFAULT, retry: { attempts: 1, budget_percent: 20 }, hedge_after_ms: 200 });
  expect(alone[2]).toBe("What fails is not tried at another replica.");
  expect(alone[3]).toBe("No second replica is asked after 200 ms: no further attempts are allowed.");
});

it("tells rules", () => {
  expect(ruleSentence({ when: [], to: "all" })).toBe("A request goes to any replica.");
  expect(ruleSentence({ when: [{ header: { name: "x-tier", is: "gold" } }, { prompt_tokens: { at_least: 8000, at_most: null } }], to: { version: 3 } })).toBe("If its header x-tier is “gold” and its prompt has at least 8,000 tokens, a request goes to the replicas of version 3.");
  expect(ruleSentence({ when: [{ tenant: ["ana", "ben"] }, { version: 2 }, { prompt_tokens: { at_most: 1 } }], to: { pool: "small" } })).toBe("If ana or ben sends it and it asks for version 2 and its prompt has at most 1 token, a request goes to the endpoint small.");
  expect(ruleSentence({ when: [], to: { replicas: ["rep_a", "rep_b"] } })).toBe("A request goes to rep_a or rep_b.");
});

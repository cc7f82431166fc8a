import { expect, it } from "vitest";
import type { Routing } from "../../../api/endpoints";
import { amount, draftOf, fieldOf, microsOf, routingOf } from "./draft";

const full: Routing = {
  router: "weighted", session_header: "x-session-id", weights: { 2: 9, 3: 1 }, prefix_slack_tokens: 8192,
  rules: [{ when: [{ header: { name: "x-tier", is: "gold" } }], to: { version: 3 } }, { when: [], to: "all" }],
  retry: { attempts: 3, budget_percent: 10 }, hedge_after_ms: 200, attempt_timeout_ms: 5000, timeout_ms: 60_000, concurrent_max: 50, fallback: ["small", "other"],
  price: { prompt_micros: 150_000, cached_micros: 75_001, answer_micros: 600_000, request_micros: 10 },
};

it("takes amounts by their digits", () => {
  expect(["0.15", "10", " 0.000001", "12.3456"].map(microsOf)).toEqual([150_000, 10_000_000, 1, 12_345_600]);
  expect(["", "-1", "1,5", "1e3", "0.0000001"].map(microsOf)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  expect([0, 1, 150_000, 12_345_600].map(amount)).toEqual(["0.00", "0.000001", "0.15", "12.3456"]);
});

it("says what it was made of", () => {
  expect(routingOf(draftOf(full))).toEqual({ routing: full });
  const { hedge_after_ms: _, timeout_ms: __, attempt_timeout_ms: ___, concurrent_max: ____, ...bare } = full;
  expect(routingOf(draftOf({ ...bare, rules: [], weights: {}, fallback: [] }))).toEqual({ routing: { ...bare, rules: [], weights: {}, fallback: [] } });
});

it("leaves out what is empty, so that it has its default", () => {
  const said = routingOf({ ...draftOf(full), hedge_after_ms: " ", rules: " " });
  expect("routing" in said && said.routing).toMatchObject({ rules: [] });
  expect("routing" in said && "hedge_after_ms" in said.routing).toBe(false);
});

it("names what no server could read, each at its field", () => {
  const said = routingOf({ ...draftOf(full), attempts: "two", timeout_ms: "1.5", weights: "2=9 three", rules: "[{" });
  expect("problems" in said && Object.keys(said.problems).sort()).toEqual(["attempts", "rules", "timeout_ms", "weights"]);
  expect(routingOf({ ...draftOf(full), weights: "2=1, 2=2" })).toEqual({ problems: { weights: "names version 2 twice" } });
});

it("finds the field that the server means", () => {
  const draft = draftOf(full);
  expect(["retry.attempts", "retry.budget_percent", "rules[2].to.pool", "rules", "fallback[0]", "hedge_after_ms", "weights.x", "unheard", undefined].map((path) => fieldOf(path, draft)))
    .toEqual(["attempts", "budget_percent", "rules", "rules", "fallback", "hedge_after_ms", "weights", undefined, undefined]);
});

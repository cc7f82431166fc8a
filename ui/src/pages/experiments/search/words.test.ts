import { expect, it } from "vitest";
import { aRun } from "../aRun";
import { aTrace } from "../traces/aTrace";
import { completionOf, unfinished } from "./complete";
import { runWords, traceWords } from "./words";

const offers = (vocabulary: ReturnType<typeof runWords>, typed: string): string[] => (completionOf(typed, typed.length, vocabulary)?.choices ?? []).map((one) => one.text);

it("knows what the runs on the page have, what people wrote before what clients wrote", () => {
  const words = runWords([aRun("a", { metrics: { "val/loss": 1 }, params: { lr: "0.1" }, tags: { team: "red", "mlflow.user": "ada" } }), aRun("b", { params: { lr: "0.01", note: "x".repeat(500) } })]);
  expect(offers(words, "params.lr = ")).toEqual(["'0.01'", "'0.1'"]);
  expect(offers(words, "params.note = ")).toEqual([]);
  expect(offers(words, "tags.")).toEqual(["tags.team", "tags.`mlflow.user`"]);
  expect(offers(words, "status = 'FA")).toEqual(["'FAILED'"]);
  expect(unfinished("metrics.new", words)).toBe(true);
});

it("knows the attributes, feedback and spans of traces", () => {
  const judged = { id: "a", kind: "feedback" as const, source: { kind: "HUMAN" }, valid: true, created_ms: 0, updated_ms: 0, metadata: new Map() };
  const words = traceWords([aTrace("t", { name: "ask", metadata: new Map([["mlflow.trace.session", "s-1"]]), assessments: [{ ...judged, name: "good", value: true }, { ...judged, name: "score", value: 0.5 }] })]);
  expect(offers(words, "name = ")).toEqual(["'ask'"]);
  expect(offers(words, "feedback.good = ")).toEqual(["'true'"]);
  expect(offers(words, "feedback.score = ")).toEqual([]);
  expect(offers(words, "session")).toEqual(["metadata.`mlflow.trace.session`"]);
  expect(offers(words, "span.type = 'RE")).toEqual(["'RERANKER'", "'RETRIEVER'"]);
  expect(offers(words, "span.attributes.k ")).toContain("RLIKE");
});

import { expect, it } from "vitest";
import { completed, completionOf, NUMBERS, PAIRS, TEXTS, unfinished, type Vocabulary } from "./complete";

const vocabulary: Vocabulary = {
  names: [
    { name: "metrics.loss", written: "metrics.loss", says: "metric", operators: NUMBERS },
    { name: "metrics.val/loss", written: "metrics.`val/loss`", says: "metric", operators: NUMBERS },
    { name: "params.optimizer", written: "params.optimizer", says: "parameter", operators: PAIRS, values: ["adam", "sgd", "o'neill"] },
    { name: "status", written: "status", says: "attribute", operators: TEXTS, values: ["FINISHED", "FAILED"] },
    { name: "run_id", written: "run_id", says: "attribute", operators: [...TEXTS, "IN"] },
  ],
  entities: { metrics: NUMBERS, params: PAIRS, tags: PAIRS },
};
/** `|` is the caret. */
const at = (marked: string) => completionOf(marked.replace("|", ""), marked.indexOf("|"), vocabulary);
const offers = (marked: string): string[] => (at(marked)?.choices ?? []).map((one) => one.text);

it("offers names by their beginning, then by any part", () => {
  expect(offers("lo|")).toEqual(["metrics.loss", "metrics.`val/loss`"]);
  expect(offers("metrics.`v|")).toEqual(["metrics.`val/loss`"]);
  expect(offers("zzz|")).toEqual([]);
  expect(offers("|")).toHaveLength(5);
  expect(offers("metrics.loss|")).toEqual([]);
});

it("offers the operators that a name takes, also a name that is not known yet", () => {
  expect(offers("metrics.loss |")).toEqual([...NUMBERS]);
  expect(offers("metrics.loss <|")).toEqual(["<="]);
  expect(offers("tags.team I|")).toEqual(["ILIKE", "IS NULL", "IS NOT NULL"]);
  expect(offers("tags.team IS |")).toEqual(["NULL", "NOT NULL"]);
  expect(offers("tags.team is not |")).toEqual(["NULL"]);
  expect(offers("some words |")).toEqual([]);
});

it("offers values in quotes, in lists too, and then AND", () => {
  expect(offers("params.optimizer = |")).toEqual(["'adam'", "'sgd'", "'o''neill'"]);
  expect(offers("params.optimizer = 'a|")).toEqual(["'adam'"]);
  expect(offers("params.optimizer = 'o''|")).toEqual(["'o''neill'"]);
  expect(offers("status != FA|")).toEqual(["'FAILED'"]);
  expect(offers("metrics.loss < |")).toEqual([]);
  expect(offers("params.optimizer IN ('sgd', |")).toEqual(["'adam'", "'sgd'", "'o''neill'"]);
  expect(offers("status = 'FAILED' |")).toEqual(["AND"]);
  expect(offers("metrics.loss < 3 a|")).toEqual(["AND"]);
  expect(offers("status = 'FAILED' AND op|")).toEqual(["params.optimizer"]);
  expect(offers("run_id IN ('a AND status = ', |")).toEqual([]);
});

it("looks only at what stands before the caret, and leaves the rest", () => {
  const found = at("lo| AND status = 'FAILED'")!;
  expect(completed("lo AND status = 'FAILED'", found, found.choices[0]!)).toEqual({ typed: "metrics.loss AND status = 'FAILED'", caret: 13 });
  const end = at("params.optimizer = 'a|")!;
  expect(completed("params.optimizer = 'a", end, end.choices[0]!)).toEqual({ typed: "params.optimizer = 'adam' ", caret: 26 });
});

it("knows a comparison that has no end from words and from whole filters", () => {
  for (const typed of ["metrics.", "metrics.loss", "metrics.loss <", "params.optimizer = 'ad", "status", "a = 'b' AND", "run_id IN ('a',", "tags.x IS NOT"]) expect(unfinished(typed, vocabulary), typed).toBe(true);
  for (const typed of ["", "loss", "try 01", "metrics.loss < 3", "params.optimizer = 'it''s'", "tags.x IS NULL", "run_id IN ('a')", "v1.2"]) expect(unfinished(typed, vocabulary), typed).toBe(false);
});

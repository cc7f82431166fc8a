import { expect, it } from "vitest";
import { aTrace } from "./aTrace";
import { columnsOf, dollars, nextSort, orderOf, shown, titleOf, tokenCount, verdict } from "./columns";

it("shows what was asked without what is around it", () => {
  expect(shown('"hello"')).toBe("hello");
  expect(shown('{"question": "rain?"}')).toBe("rain?");
  expect(shown('{"a": "x", "b": 1}')).toBe('{"a": "x", "b": 1}');
  expect(shown("hello {")).toBe("hello {");
  expect(titleOf(aTrace("t", { request: "", name: "ask" }))).toBe("ask");
});

it("leaves out columns that nothing has", () => {
  const ids = (...made: Parameters<typeof aTrace>[1][]) => columnsOf(made.map((one) => aTrace("t", one))).map((one) => one.id);
  expect(ids({ name: undefined })).toEqual(["response", "state", "started", "took"]);
  expect(ids({ tokens: { input: 1 } }, { session: "s", tags: new Map([["team", "a"], ["mlflow.x", "y"]]) })).toEqual(["response", "state", "started", "took", "tokens", "name", "session", "tags"]);
  expect(ids({ tags: new Map([["mlflow.x", "y"]]) })).not.toContain("tags");
});

it("orders by what the server orders by", () => {
  const took = columnsOf([]).find((one) => one.id === "took")!;
  expect([nextSort(took, undefined), nextSort(took, "-took"), nextSort(took, "took")]).toEqual(["-took", "took", undefined]);
  expect([orderOf("-took"), orderOf("name"), orderOf("tokens"), orderOf("x"), orderOf(undefined)]).toEqual(["execution_time_ms DESC", "name ASC", undefined, undefined, undefined]);
});

it("says counts, costs and verdicts", () => {
  expect(tokenCount(aTrace("t", { tokens: { input: 2, output: 3 } }))).toBe(5);
  expect(tokenCount(aTrace("t"))).toBeUndefined();
  expect([dollars(0), dollars(0.00012), dollars(1.5)]).toEqual(["$0.00", "$0.00012", "$1.50"]);
  expect([verdict({ value: true }), verdict({ value: 0.25 }), verdict({ value: ["x"] }), verdict({ value: null, error: {} })]).toEqual(["yes", "0.25", '["x"]', "failed"]);
});

import { expect, it } from "vitest";
import { aRun } from "./aRun";
import { canSort, columnOf, columnsOf, firstColumns, formatColumns, nextSort, orderOf, parseColumns, parseSort, shownOf, valueOf } from "./columns";

it("gives back what was chosen, without what it does not know or what comes twice", () => {
  const ids = "attributes.state,metrics.val/loss,params.a b,tags.team";
  expect(formatColumns(parseColumns(`${ids},attributes.constructor,nothing,metrics.,tags.team`))).toBe(ids);
});

it("begins with what most runs measured and in what they differ", () => {
  const runs = [aRun("a", { metrics: { rare: 1, "val/loss": 1, train: 2 }, params: { lr: "1", same: "x" } }), aRun("b", { metrics: { "val/loss": 1, train: 2 }, params: { lr: "2", same: "x" } })];
  expect(formatColumns(firstColumns(runs).slice(3))).toBe("metrics.val/loss,metrics.train,metrics.rare,params.lr");
});

it("lists what there is, without what clients write for themselves", () => {
  const ids = columnsOf([aRun("a", { tags: { team: "x", "mlflow.user": "u" }, params: { b: "1", a: "2" } })]).map((one) => one.id);
  expect(ids.slice(-3)).toEqual(["params.a", "params.b", "tags.team"]);
});

it("takes names of the language itself for names", () => {
  const run = aRun("a", { params: { x: "1" } });
  expect(valueOf(run, { entity: "params", key: "constructor" })).toBe("");
  expect(columnOf("attributes.toString")).toBeUndefined();
});

it("orders as the server takes it, and back to the newest first", () => {
  expect(orderOf(parseSort("-metrics.val/loss"))).toBe("metrics.`val/loss` DESC");
  expect(orderOf(parseSort("attributes.name"))).toBe("run_name ASC");
  expect(orderOf(parseSort("attributes.took"))).toBeUndefined();
  expect(canSort("attributes.took")).toBe(false);
  const first = nextSort("metrics.a", undefined);
  const second = nextSort("metrics.a", parseSort(first));
  expect([first, second, nextSort("metrics.a", parseSort(second))]).toEqual(["-metrics.a", "metrics.a", undefined]);
  expect(nextSort("params.a", parseSort("metrics.a"))).toBe("params.a");
});

it("shows few figures and downloads all of them", () => {
  const run = aRun("a", { metrics: { m: 0.123456789, bad: Number.NaN }, ended_ms: 3500 });
  const m = columnOf("metrics.m");
  const bad = columnOf("metrics.bad");
  const took = columnOf("attributes.took");
  if (!m || !bad || !took) throw new Error("columns");
  expect([shownOf(run, m), valueOf(run, m), shownOf(run, bad), shownOf(run, took), valueOf(run, took)]).toEqual(["0.1235", "0.123456789", "NaN", "2.5 s", "2.5"]);
});

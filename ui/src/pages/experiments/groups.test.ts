import { expect, it } from "vitest";
import { columnOf, type RunColumn } from "./columns";
import { aRun } from "./aRun";
import { comparisonOf, Groups, valuesText } from "./groups";

const columns = ["metrics.loss", "params.depth"].map((id) => columnOf(id) as RunColumn);

function grouped(): Groups {
  const groups = new Groups({ entity: "params", key: "opt" }, columns);
  groups.add(aRun("1", { params: { opt: "adam", depth: "2" }, metrics: { loss: 1 } }));
  groups.add(aRun("2", { params: { opt: "adam", depth: "10" }, metrics: { loss: 3 }, state: "failed" }));
  groups.add(aRun("3", { params: { opt: "adam" }, metrics: { loss: Number.NaN } }));
  groups.add(aRun("4", { params: { opt: "sgd" }, metrics: { loss: 1 } }));
  groups.add(aRun("5"));
  return groups;
}

it("aggregates finite values, and counts what has none as a group", () => {
  const [adam, , none] = grouped().sorted(undefined, false);
  expect(adam).toMatchObject({ value: "adam", runs: 3 });
  expect(adam?.metrics.get("loss")).toEqual({ count: 2, sum: 4, least: 1, most: 3 });
  expect(adam?.states.get("failed")).toBe(1);
  expect(valuesText(adam?.values.get("params.depth"))).toBe("2, 10");
  expect(none?.value === undefined || none?.value === "sgd").toBe(true);
});

it("orders by the mean, with groups that have none last in either direction", () => {
  expect(grouped().sorted("metrics.loss", false).map((one) => one.value)).toEqual(["sgd", "adam", undefined]);
  expect(grouped().sorted("metrics.loss", true).map((one) => one.value)).toEqual(["adam", "sgd", undefined]);
});

it("keeps few of many values, and finds a group again", () => {
  const groups = new Groups({ entity: "tags", key: "a b" }, columns);
  for (let i = 0; i < 9; i += 1) groups.add(aRun(String(i), { params: { depth: String(i) } }));
  expect(valuesText(groups.sorted(undefined, false)[0]?.values.get("params.depth"))).toBe("0, 1, 2 and others");
  expect(comparisonOf({ entity: "tags", key: "a b" }, undefined)).toBe("tags.`a b` IS NULL");
  expect(comparisonOf({ entity: "params", key: "x" }, "it's")).toBe("params.x = 'it''s'");
});

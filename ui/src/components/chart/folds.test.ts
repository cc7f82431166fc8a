import { expect, it } from "vitest";
import { metricFolds } from "./folds";

it("folds metrics by what is before the slash, the machine's own last", () => {
  expect(metricFolds(["val/loss", "loss", "system/cpu", "train/a", "train/b", "alone/x", "val/acc"])).toEqual([
    { name: "", keys: ["alone/x", "loss"] },
    { name: "train", keys: ["train/a", "train/b"] },
    { name: "val", keys: ["val/acc", "val/loss"] },
    { name: "system", keys: ["system/cpu"] },
  ]);
  expect(metricFolds([])).toEqual([]);
});

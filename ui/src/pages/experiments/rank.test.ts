import { expect, it } from "vitest";
import { rank } from "./rank";

it("puts what was measured on held-out data first, and what the machine did last", () => {
  const keys = ["system/gpu", "train/loss", "epochs", "loss", "val_accuracy", "test/f1", "train/lr"];
  expect([...keys].sort((a, b) => rank(a) - rank(b))).toEqual(["val_accuracy", "test/f1", "loss", "train/loss", "epochs", "system/gpu", "train/lr"]);
});

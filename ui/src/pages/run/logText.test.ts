import { expect, it } from "vitest";
import { cleanLine, findLines, splitHits, visibleRange } from "./logText";

it("takes out colours, titles and bells, keeps tabs and what a progress bar shows last", () => {
  expect(cleanLine("\u001b[1;32mok\u001b[0m\tdone\u0007\n")).toBe("ok\tdone");
  expect(cleanLine("\u001b]0;title\u0007text")).toBe("text");
  expect(cleanLine(" 10%\r 50%\r100%\r\n")).toBe("100%");
  expect(cleanLine("")).toBe("");
});

it("cuts a monstrous line and says so", () => {
  const shown = cleanLine("x".repeat(5000));
  expect(shown.endsWith("… (1000 more characters)")).toBe(true);
});

it("finds lines whatever the case", () => {
  const lines = [{ text: "Epoch 1" }, { text: "loss 0.3" }, { text: "EPOCH 2" }];
  expect(findLines(lines, "epoch")).toEqual([0, 2]);
  expect(findLines(lines, "")).toEqual([]);
});

it("splits a line at its hits without losing a character", () => {
  expect(splitHits("aXbxc", "x")).toEqual(["a", "X", "b", "x", "c"]);
  expect(splitHits("none", "x")).toEqual(["none"]);
  expect(splitHits("İstanbul x", "x").join("")).toBe("İstanbul x");
});

it("draws only what is in view", () => {
  expect(visibleRange(0, 400, 20, 10_000)).toEqual([0, 40]);
  expect(visibleRange(100_000, 400, 20, 10_000)).toEqual([4980, 5040]);
  expect(visibleRange(1e9, 400, 20, 10)).toEqual([10, 10]);
  expect(visibleRange(0, 400, 20, 0)).toEqual([0, 0]);
});

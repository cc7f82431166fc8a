import { expect, it } from "vitest";
import { columnWindow, FIXED_PX, pagesOf, ROW_PX, rowAfter, rowWindow, scrollFor } from "./window";

it("holds few rows of many, and all of few", () => {
  const [first, last] = rowWindow(5000 * ROW_PX, 600, 10_000);
  expect(first).toBeLessThanOrEqual(5000);
  expect(last).toBeGreaterThanOrEqual(5000 + 600 / ROW_PX);
  expect(last - first).toBeLessThan(60);
  expect(rowWindow(0, 600, 3)).toEqual([0, 3]);
  expect(rowWindow(10_000, 600, 3)[1]).toBe(3);
});

it("asks for the pages near the window, and always for the first", () => {
  expect(pagesOf([0, 30], 10_000)).toEqual([0]);
  expect(pagesOf([480, 520], 10_000)).toEqual([0, 4, 5]);
  expect(pagesOf([0, 0], 0)).toEqual([0]);
  expect(pagesOf([9960, 10_000], 10_000)).toEqual([0, 99]);
});

it("scrolls only as far as a row needs", () => {
  expect(scrollFor(3, 0, 600, 30)).toBeUndefined();
  expect(scrollFor(3, 10 * ROW_PX, 600, 30)).toBe(3 * ROW_PX);
  expect(scrollFor(30, 0, 600, 30)).toBe(31 * ROW_PX + 30 - 600);
});

it("stays within the rows", () => {
  expect([rowAfter("ArrowDown", 9, 10, 5), rowAfter("ArrowUp", 0, 10, 5), rowAfter("PageDown", 2, 10, 5), rowAfter("End", 2, 10, 5), rowAfter("x", 2, 10, 5), rowAfter("End", 0, 0, 5)]).toEqual([9, 0, 7, 9, undefined, undefined]);
});

it("holds the columns in sight and two beyond each edge", () => {
  const widths = Array.from({ length: 40 }, () => 100);
  expect(columnWindow(0, FIXED_PX + 500, widths)).toEqual([0, 7]);
  expect(columnWindow(2000, FIXED_PX + 500, widths)).toEqual([18, 27]);
  expect(columnWindow(4000 - 500, FIXED_PX + 500, widths)).toEqual([33, 40]);
  expect(columnWindow(0, 5000, widths.slice(0, 3))).toEqual([0, 3]);
  expect(columnWindow(0, 300, [])).toEqual([0, 0]);
});

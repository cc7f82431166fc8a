import { expect, it } from "vitest";
import { around, barOf, fine, ticks } from "./timeAxis";

it("says spans of time in three digits", () => {
  const says: [number, string][] = [[0, "0 µs"], [0.256, "0.256 µs"], [850, "850 µs"], [999.7, "1 ms"], [1234, "1.23 ms"], [340_400, "340 ms"], [4_251_000, "4.25 s"], [59_960_000, "1 m 00 s"], [187_000_000, "3 m 07 s"], [3_599_700_000, "1 h 00 m"], [7_500_000_000, "2 h 05 m"], [Number.NaN, "–"]];
  for (const [us, text] of says) expect(fine(us)).toBe(text);
});

it("places bars within the part that is shown", () => {
  expect(barOf(25, 75, [0, 100])).toEqual({ left: 0.25, width: 0.5 });
  expect(barOf(0, 75, [50, 100])).toEqual({ left: 0, width: 0.5 });
  expect(barOf(0, 10, [50, 100])).toBeUndefined();
  expect(barOf(0, 0, [0, 0])).toEqual({ left: 0, width: 0 });
});

it("finds round places", () => {
  expect(ticks([0, 100], 5)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(ticks([130, 470], 4)).toEqual([200, 300, 400]);
  expect(ticks([5, 5], 4)).toEqual([5]);
  expect(ticks([0, 1], 0)).toEqual([0]);
});

it("zooms around a span and not beyond the trace", () => {
  expect(around(10, 20, 100)).toEqual([9, 21]);
  expect(around(0, 100, 100)).toEqual([0, 100]);
  expect(around(50, 50, 100)).toEqual([49.5, 50.5]);
});

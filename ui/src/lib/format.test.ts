import { describe, expect, it } from "vitest";
import { ago, bytes, cpus, duration, hours, metric, plural, resources, rowsWords, shortId } from "./format";

describe("duration", () => {
  it.each([
    [0, "0 ms"], [999, "999 ms"], [1000, "1.0 s"], [59_949, "59.9 s"], [59_950, "1 m 00 s"],
    [187_000, "3 m 07 s"], [3_599_499, "59 m 59 s"], [7_500_000, "2 h 05 m"], [273_600_000, "3 d 4 h"], [-1, "–"], [Number.NaN, "–"],
  ])("%d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));
});

describe("ago", () => {
  it.each([
    [1_000, "just now"], [40_000, "40 s ago"], [59_999, "59 s ago"], [60_000, "1 min ago"],
    [3 * 3_600_000, "3 h ago"], [50 * 3_600_000, "2 d ago"], [-40_000, "in 40 s"],
  ])("%d ms before now is %s", (before, text) => expect(ago(1e12 - before, 1e12)).toBe(text));
});

describe("bytes", () => {
  it.each([
    [0, "0 B"], [1023, "1023 B"], [1024, "1 KiB"], [1536, "1.5 KiB"], [1024 ** 2 - 1, "1 MiB"],
    [2 * 1024 ** 3, "2 GiB"], [91.3 * 1024 ** 2, "91.3 MiB"], [100 * 1024, "100 KiB"], [10 * 1024, "10 KiB"],
  ])("%d is %s", (size, text) => expect(bytes(size)).toBe(text));
});

describe("metric", () => {
  it.each([
    [0.97213, "0.9721"], [0, "0"], [12345, "12,345"], [1e-7, "1.00e-7"], [1.5, "1.5"], [-0.25, "-0.25"],
    [Number.NaN, "NaN"], [Infinity, "∞"], [1234567.8, "1.23e+6"],
  ])("%d is %s", (value, text) => expect(metric(value)).toBe(text));
});

it("counts nouns", () => {
  expect(plural(1, "worker")).toBe("1 worker");
  expect(plural(2, "worker")).toBe("2 workers");
  expect(plural(1000, "entry", "entries")).toBe("1,000 entries");
});

it("names resources", () => {
  expect(cpus(1500)).toBe("1.5");
  expect(resources({ cpu_milli: 1000, memory_bytes: 2 * 1024 ** 3, accelerators: 0 })).toBe("1 CPU, 2 GiB");
  expect(resources({ cpu_milli: 500, memory_bytes: 0, accelerators: 2 })).toBe("0.5 CPUs, 2 accelerators");
  expect(resources({ cpu_milli: 0, memory_bytes: 0, accelerators: 0 })).toBe("nothing");
});

it("shortens ids but keeps their kind", () => {
  expect(shortId("run_01jd3k8m9n0p1q2r3s4t5v6w7x")).toBe("run_…5v6w7x");
  expect(shortId("run_1")).toBe("run_1");
  expect(shortId("0123456789abcdef")).toBe("…abcdef");
});

it("counts rows from one", () => {
  expect(rowsWords(0, 50, 1000)).toBe("Rows 1–50 of 1,000");
  expect(rowsWords(1000, 20, null)).toBe("Rows 1,001–1,020");
  expect(rowsWords(0, 0, 0)).toBe("No rows");
  expect(rowsWords(50, 0, null)).toBe("No more rows");
});

it("writes hours with the digits that are read", () => {
  expect([0, 0.0025, 0.0123, 1.234, 12.34, 1234.5].map(hours)).toEqual(["0", "0.0025", "0.012", "1.23", "12.3", "1,235"]);
});

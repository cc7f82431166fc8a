import { expect, it } from "vitest";
import { BEYOND_MS } from "./stats";
import { latency, rate, share, tick } from "./words";

it("writes rates with as many digits as they deserve", () => {
  expect([0, 0.01, 0.1, 4, 12.34, 99.96, 1203.6].map(rate)).toEqual(["0", "0.01", "0.1", "4", "12.3", "100", "1,204"]);
});

it("says of a time beyond the last bound only that", () => {
  expect([0.7, 2, 9.96, 24.4, 1500, 60_000, BEYOND_MS].map(latency)).toEqual(["0.7 ms", "2 ms", "10 ms", "24 ms", "1.5 s", "1 m 00 s", "over 60 s"]);
});

it("writes ticks short", () => {
  expect([0, 50, 2000, 2500, 60_000].map(tick)).toEqual(["0", "50 ms", "2 s", "2.5 s", "1 m"]);
});

it("says nothing and all only where it is so", () => {
  expect([0, 0.0001, 0.004, 0.05, 0.642, 0.995, 0.9999, 1].map(share)).toEqual(["0 %", "under 0.1 %", "0.4 %", "5.0 %", "64 %", "99.5 %", "over 99.9 %", "100 %"]);
});

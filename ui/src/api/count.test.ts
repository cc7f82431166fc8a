import { expect, it } from "vitest";
import { lengthOf } from "./count";

it.each([0, 1, 2, 63, 64, 65, 100, 4321, 10_000])("finds the end of a list of %d", async (length) => {
  for (const guess of [0, 1, 64, length, length + 1, Math.max(0, length - 3)]) {
    expect(await lengthOf((place) => Promise.resolve(place < length), guess)).toBe(length);
  }
});

it("asks twice where the guess is right", async () => {
  let asked = 0;
  expect(await lengthOf((place) => { asked += 1; return Promise.resolve(place < 10_000); }, 10_000)).toBe(10_000);
  expect(asked).toBe(2);
});

import { expect, test } from "vitest";
import type { UsageItem } from "../../api/usage";
import { ceiling, OTHERS, stack } from "./stack";

const DAY = 86_400_000;
const none = { cpu: 0, memory_gib: 0, accelerator: 0 };

const item = (day: number, user: string, cpu: number): UsageItem => ({
  from_ms: day * DAY, to_ms: (day + 1) * DAY, user, jobs: 1, waited_hours: 0, used_cpu_hours: 0, failed: none, preempted: none,
  allocated: { ...none, cpu },
});

test("each day has a column, and the largest come first", () => {
  // The first day is cut: it was asked for from noon on.
  const first = { ...item(10, "ada", 1), from_ms: 10.5 * DAY };
  const made = stack([first, item(12, "ada", 2), item(12, "bea", 4)], "user", "cpu", 10.5 * DAY, 12.5 * DAY);
  expect(made.names).toEqual(["bea", "ada"]);
  expect(made.columns.map((column) => column.parts)).toEqual([[0, 1], [0, 0], [4, 2]]);
  expect(made.most).toBe(6);
});

test("beyond the seventh, names are drawn together", () => {
  const made = stack(Array.from({ length: 10 }, (_, at) => item(1, `user-${at}`, 10 - at)), "user", "cpu", DAY, 2 * DAY);
  expect(made.names).toHaveLength(8);
  expect(made.names[7]).toBe(OTHERS);
  expect(made.columns[0]?.parts[7]).toBe(3 + 2 + 1);
});

test("what is nobody's has a name, and what held nothing of it has none", () => {
  const made = stack([item(1, "", 1), item(1, "ada", 0)], "user", "cpu", DAY, 2 * DAY);
  expect(made.names).toEqual(["–"]);
  expect(stack([item(1, "ada", 3)], "user", "accelerator", DAY, 2 * DAY)).toMatchObject({ names: [], most: 0 });
});

test("axes end at round numbers", () => {
  expect([0, 0.03, 1, 1.1, 4.9, 5, 7, 130].map(ceiling)).toEqual([1, 0.05, 1, 2, 5, 5, 10, 200]);
});

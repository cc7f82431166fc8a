import { expect, it } from "vitest";
import type { StepView } from "../../api/runs";
import { attemptState, chooseStep, exitWords, leftToRun, stepEdges, stepSentence, tally, taskState } from "./steps";

const step = (name: string, state: StepView["state"], more: Partial<StepView> = {}): StepView => ({
  name, state, needs: [], attempt: 1, inputs: [], outputs: [], workers: 1, attempts: [], ...more,
});

it("shows the step asked for, then failures, then work in progress, then the latest", () => {
  const steps = [step("a", "succeeded", { ended_ms: 1 }), step("b", "running"), step("c", "failed")];
  expect(chooseStep(steps, "a")?.name).toBe("a");
  expect(chooseStep(steps, "gone")?.name).toBe("c");
  expect(chooseStep(steps.slice(0, 2), undefined)?.name).toBe("b");
  expect(chooseStep([step("x", "succeeded", { ended_ms: 9 }), step("y", "succeeded", { ended_ms: 5 })], undefined)?.name).toBe("x");
  expect(chooseStep([], undefined)).toBeUndefined();
});

it("makes edges of needs", () => {
  expect(stepEdges([step("a", "waiting"), step("b", "waiting", { needs: ["a"] })])).toEqual([{ from: "a", to: "b" }]);
});

it("says a step in words", () => {
  expect(stepSentence(step("train", "running", { attempt: 2, workers: 2, reason: "resumed from step-40" })))
    .toBe("train: running, attempt 2, 2 workers, resumed from step-40");
});

it("counts states in order of urgency", () => {
  expect(tally([step("a", "succeeded"), step("b", "failed"), step("c", "succeeded")]))
    .toEqual([{ state: "failed", count: 1 }, { state: "succeeded", count: 2 }]);
});

it("shows a submitted attempt as queued until it starts", () => {
  expect(attemptState({ attempt: 1, state: "submitted" })).toBe("queued");
  expect(attemptState({ attempt: 1, state: "submitted", started_ms: 5 })).toBe("running");
  expect(attemptState({ attempt: 1, state: "failed", started_ms: 5 })).toBe("failed");
});

it("tells how an exited worker ended", () => {
  const task = { task_id: "t", rank: 0, state: "exited" };
  expect(taskState({ ...task, exit: { kind: "exited", code: 0 } })).toBe("succeeded");
  expect(taskState({ ...task, exit: { kind: "exited", code: 3 } })).toBe("failed");
  expect(taskState({ ...task, exit: { kind: "signaled", signal: 9 } })).toBe("failed");
  expect(taskState({ ...task, exit: { kind: "cancelled" } })).toBe("cancelled");
  expect(taskState({ ...task, state: "running" })).toBe("running");
});

it("says how a worker ended", () => {
  expect(exitWords({ kind: "signaled", signal: 9 })).toBe("killed by SIGKILL");
  expect(exitWords({ kind: "signaled", signal: 40 })).toBe("killed by signal 40");
  expect(exitWords({ kind: "exited", code: 1 })).toBe("exited with code 1");
  expect(exitWords({ kind: "out_of_memory", message: "the limit was 2 GiB" })).toBe("killed for using too much memory: the limit was 2 GiB");
});

it("offers a plain rerun only where a step did not succeed", () => {
  const steps = (...states: StepView["state"][]) => states.map((state) => step(state, state));
  expect(leftToRun(steps("succeeded", "reused"))).toBe(false);
  expect(leftToRun(steps("succeeded", "skipped"))).toBe(true);
  expect(leftToRun([])).toBe(false);
});

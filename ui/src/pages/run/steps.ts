// Small decisions about a run's steps that several parts of the page share.
import type { TaskExit, TaskView } from "../../api/jobs";
import type { Attempt, StepView } from "../../api/runs";
import type { Edge } from "../../components/dag/layout";

/** The step to show: the one asked for, else what needs attention most, else the last that ended. */
export function chooseStep(steps: StepView[], wanted: string | undefined): StepView | undefined {
  const asked = steps.find((step) => step.name === wanted);
  if (asked) return asked;
  for (const state of ["failed", "running", "publishing", "queued"]) {
    const found = steps.find((step) => step.state === state);
    if (found) return found;
  }
  const ended = steps.filter((step) => step.ended_ms !== null && step.ended_ms !== undefined);
  return ended.sort((a, b) => (b.ended_ms ?? 0) - (a.ended_ms ?? 0))[0] ?? steps[0];
}

export const stepEdges = (steps: StepView[]): Edge[] =>
  steps.flatMap((step) => step.needs.map((need) => ({ from: need, to: step.name })));

/** Whether a rerun without a first step has anything to do: the server refuses one where every step succeeded. */
export const leftToRun = (steps: StepView[]): boolean =>
  steps.some((step) => step.state !== "succeeded" && step.state !== "reused");

export const isActive = (step: StepView): boolean =>
  step.state === "queued" || step.state === "running" || step.state === "publishing";

/** What a screen reader says about a step, and what the aria-live region says when it changes. */
export function stepSentence(step: StepView): string {
  const parts = [`${step.name}: ${step.state}`];
  if (step.attempt > 1) parts.push(`attempt ${step.attempt}`);
  if (step.workers > 1) parts.push(`${step.workers} workers`);
  if (step.reason) parts.push(step.reason);
  return parts.join(", ");
}

/** An attempt as people see it: a submitted one waits in the queue until its workers start. */
export function attemptState(attempt: Attempt): string {
  if (attempt.state !== "submitted") return attempt.state;
  return attempt.started_ms ? "running" : "queued";
}

/** A worker that exited did well or badly; the task itself only says that it is over. */
export function taskState(task: TaskView): string {
  if (task.state !== "exited" || !task.exit) return task.state;
  if (task.exit.kind === "cancelled") return "cancelled";
  return task.exit.kind === "exited" && (task.exit.code ?? 0) === 0 ? "succeeded" : "failed";
}

const SIGNALS: Record<number, string> = {
  1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
  9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM",
};

const EXITS: Record<string, string> = {
  out_of_memory: "killed for using too much memory",
  timed_out: "ended for running too long",
  cancelled: "stopped on request",
  lost: "lost without a record",
};

export function exitWords(exit: TaskExit): string {
  const signal = exit.signal ?? 0;
  const what =
    exit.kind === "exited" ? `exited with code ${exit.code ?? 0}`
    : exit.kind === "signaled" ? `killed by ${SIGNALS[signal] ?? `signal ${signal}`}`
    : (EXITS[exit.kind] ?? exit.kind);
  return exit.message ? `${what}: ${exit.message}` : what;
}

export interface Tally {
  state: string;
  count: number;
}

const ORDER = ["failed", "running", "publishing", "queued", "waiting", "succeeded", "reused", "skipped", "cancelled"];

export function tally(steps: StepView[]): Tally[] {
  const counts = new Map<string, number>();
  for (const step of steps) counts.set(step.state, (counts.get(step.state) ?? 0) + 1);
  return ORDER.filter((state) => counts.has(state)).map((state) => ({ state, count: counts.get(state) ?? 0 }));
}

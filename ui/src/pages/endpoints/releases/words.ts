// Releases in words.
import type { Release, ReleasePlan, ReleaseStrategy, Wait } from "../../../api/releases";
import { count, duration, plural } from "../../../lib/format";

const STRATEGIES: Record<ReleaseStrategy, string> = {
  rolling: "replica by replica",
  canary: "canary by steps",
  blue_green: "blue and green",
  shadow: "shadow",
  ab: "A/B",
};

export const strategy = (plan: ReleasePlan): string => STRATEGIES[plan.strategy] ?? plan.strategy;

export const isActive = (release: Release): boolean => release.state === "running" || release.state === "paused";

/** From what to what; the models are named where they differ. */
export function fromTo({ from_model: from, from_version: old, to_model: to, to_version: version }: Release, word = "version"): string {
  if (from === undefined || from === to) return `${word} ${old} to ${version}`;
  return `${from} version ${old} to ${to} version ${version}`;
}

/** What the new version gets of the requests. */
export function share(percent: number, copies: number): string {
  return copies > 0 ? `copies of ${copies} %` : `${percent} %`;
}

/** What of the requests a version of the release gets. */
export function gets(release: Release, version: number): string {
  if (version === release.to_version) return share(release.percent, release.copies);
  return `${100 - release.percent} %`;
}

/** What comes next, and when. */
export function next(release: Release, now: number): string {
  const last = release.step + 1 >= release.steps_total;
  const goal = release.plan.strategy === "blue_green" ? "the old version's replicas go" : last ? `version ${release.to_version} takes the place of version ${release.from_version}` : `step ${release.step + 2} of ${release.steps_total} begins`;
  return waits(release.next, goal, now);
}

function waits(wait: Wait | undefined, goal: string, now: number): string {
  switch (wait?.waits_for) {
    case "replicas": return `The step begins when ${plural(wait.needed, "replica")} of the new version ${wait.needed === 1 ? "is" : "are"} ready; ${wait.ready} ${wait.ready === 1 ? "is" : "are"}.`;
    case "time": return `In ${duration(Math.max(0, wait.until_ms - now))}: ${goal}.`;
    case "requests": return `After ${plural(wait.missing, "more request", "more requests")} to judge by: ${goal}.`;
    case "decision": return "It stays so until somebody promotes it or rolls it back.";
    case "resume": return "It stays so until somebody lets it go on.";
    default: return `Now: ${goal}.`;
  }
}

/** What the new version must keep. */
export function objectives(plan: ReleasePlan): string[] {
  const { max_error_bp: errors, max_p99_ms: p99, max_p99_ratio_percent: ratio, max_first_token_p99_ms: first } = plan.objectives;
  const told = [`At most ${count(errors / 100)} % of its requests get no answer.`];
  if (p99 !== undefined) told.push(`99 of 100 requests take at most ${duration(p99)}.`);
  if (ratio !== undefined) told.push(`99 of 100 requests take at most ${count(ratio / 100)} times as long as with the old version.`);
  if (first !== undefined) told.push(`For 99 of 100 requests the first of the answer comes within ${duration(first)}.`);
  return told;
}

/** Errors with their share. */
export function errors(of: { requests: number; errors: number }): string {
  if (of.errors === 0 || of.requests === 0) return count(of.errors);
  return `${count(of.errors)} (${count(Math.round((of.errors / of.requests) * 1000) / 10)} %)`;
}

/** For who does not see it change. */
export function announced(release: Release): string {
  const how = isActive(release) ? `step ${release.step + 1} of ${release.steps_total}, version ${release.to_version} gets ${share(release.percent, release.copies)}` : release.state.replace("_", " ");
  return `Release of version ${release.to_version}: ${how}`;
}

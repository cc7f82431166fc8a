// How an endpoint's requests are routed, as sentences.
import type { Condition, Destination, Routing, Rule, Strategy } from "../../../api/endpoints";
import { amount } from "./draft";
import { count, duration, plural } from "../../../lib/format";

export const STRATEGY_WORDS: Record<Strategy, string> = {
  round_robin: "the next in turn",
  weighted: "each in proportion to the weight of its version",
  least_connections: "the fewest requests in flight",
  least_response_time: "the faster of two drawn at random",
  least_tokens: "the fewest tokens still to be computed",
  prefix_aware: "where the prompt's beginning is cached, unless that replica has too much to do",
  session_affinity: "the same replica for the same session",
};

function strategySentence(routing: Routing): string {
  const { router, weights } = routing;
  if (router === "prefix_aware") return `A request goes where its prompt's beginning is cached, unless that replica has more to compute than the least busy one: over ${plural(routing.prefix_slack_tokens, "token")} beside those that the cache saves.`;
  if (router === "session_affinity") return `Requests with the same value of the header ${routing.session_header} go to the same replica.`;
  if (router === "weighted") {
    const shares = Object.entries(weights).map(([version, weight]) => `version ${version} weighs ${count(weight)}`).join(", ");
    return `Replicas take requests in proportion to the weight of their version${shares === "" ? ", which is 1 for each" : `: ${shares}, any other 1`}.`;
  }
  const who: Partial<Record<Strategy, string>> = {
    round_robin: "the next replica in turn",
    least_connections: "the replica with the fewest requests in flight",
    least_response_time: "the one of two replicas, drawn at random, that is expected to answer first",
    least_tokens: "the replica with the fewest tokens still to be computed",
  };
  return `A request goes to ${who[router] ?? router}.`;
}

/** One sentence for each thing that is said of the routing, in the order in which a request meets them; rules are apart. */
export function routingSentences(routing: Routing): string[] {
  const { retry, hedge_after_ms: hedge, attempt_timeout_ms: attempt, timeout_ms: all, concurrent_max: most, fallback } = routing;
  const told = [
    most === undefined ? "As many requests are worked on at once as the server allows; more are refused with 429." : `At most ${plural(most, "request")} ${most === 1 ? "is" : "are"} worked on at once; more are refused with 429.`,
    strategySentence(routing),
  ];
  const mayAskAgain = retry.attempts > 1 && retry.budget_percent > 0;
  if (!mayAskAgain) told.push("What fails is not tried at another replica.");
  else told.push(`What fails before its answer began is tried at another replica, at most ${plural(retry.attempts, "replica")} in all, as long as further attempts stay within ${retry.budget_percent} % of the requests.`);
  if (hedge !== undefined) {
    told.push(mayAskAgain ? `After ${time(hedge)} without a first answer a second replica is asked as well, and the faster one taken.` : `No second replica is asked after ${time(hedge)}: no further attempts are allowed.`);
  }
  if (attempt !== undefined) told.push(`A replica may take ${time(attempt)} for its first answer${mayAskAgain ? ", then another is asked instead" : ""}.`);
  if (all !== undefined) told.push(`All attempts together may take ${time(all)} for the first answer.`);
  if (fallback.length > 0) told.push(`What this endpoint cannot answer is given to ${fallback.join(", then to ")}.`);
  const { prompt_micros: prompt, cached_micros: cached, answer_micros: answer, request_micros: each } = routing.price;
  if (prompt + (cached ?? 0) + answer + each > 0) {
    told.push(`For the budgets of callers, a million tokens of prompts cost ${amount(prompt)}${cached === undefined ? "" : ` (${amount(cached)} if cached)`}, of answers ${amount(answer)}; a request ${amount(each)}.`);
  }
  return told;
}

const time = (ms: number): string => duration(ms).replace(/\.0 s$/, " s").replace(/ 00 s$/, "");

function conditionWords(condition: Condition): string {
  if ("version" in condition) return `it asks for version ${condition.version}`;
  if ("header" in condition) return `its header ${condition.header.name} is “${condition.header.is}”`;
  if ("tenant" in condition) return `${condition.tenant.join(" or ") || "nobody"} sends it`;
  const { at_least: least, at_most: most } = condition.prompt_tokens;
  const given = (value: number | null | undefined): value is number => value !== undefined && value !== null;
  if (given(least) && given(most)) return `its prompt has ${count(least)} to ${count(most)} tokens`;
  if (given(least)) return `its prompt has at least ${plural(least, "token")}`;
  return given(most) ? `its prompt has at most ${plural(most, "token")}` : "it has a prompt of any length";
}

function destinationWords(to: Destination): string {
  if (to === "all") return "to any replica";
  if ("version" in to) return `to the replicas of version ${to.version}`;
  if ("pool" in to) return `to the endpoint ${to.pool}`;
  return to.replicas.length === 0 ? "to no replica" : `to ${to.replicas.join(" or ")}`;
}

/** `If its header x-tier is “gold”, a request goes to the replicas of version 3.` */
export function ruleSentence(rule: Rule): string {
  const when = rule.when.map(conditionWords).join(" and ");
  return when === "" ? `A request goes ${destinationWords(rule.to)}.` : `If ${when}, a request goes ${destinationWords(rule.to)}.`;
}

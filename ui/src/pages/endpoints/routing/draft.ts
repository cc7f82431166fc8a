// The routing as texts of a form, and back.
import type { Routing, Rule, Strategy } from "../../../api/endpoints";
import { jsonProblem } from "../playground/tensors";

export interface Draft {
  router: Strategy;
  session_header: string;
  weights: string;
  prefix_slack_tokens: string;
  attempts: string;
  budget_percent: string;
  hedge_after_ms: string;
  attempt_timeout_ms: string;
  timeout_ms: string;
  concurrent_max: string;
  fallback: string;
  rules: string;
  price_prompt: string;
  price_cached: string;
  price_answer: string;
  price_request: string;
}

export type Field = keyof Draft;

const text = (value: number | undefined): string => (value === undefined ? "" : String(value));

export function draftOf(routing: Routing): Draft {
  return {
    router: routing.router,
    session_header: routing.session_header,
    weights: Object.entries(routing.weights).map(([version, weight]) => `${version}=${weight}`).join(", "),
    prefix_slack_tokens: String(routing.prefix_slack_tokens),
    attempts: String(routing.retry.attempts),
    budget_percent: String(routing.retry.budget_percent),
    hedge_after_ms: text(routing.hedge_after_ms),
    attempt_timeout_ms: text(routing.attempt_timeout_ms),
    timeout_ms: text(routing.timeout_ms),
    concurrent_max: text(routing.concurrent_max),
    fallback: routing.fallback.join(", "),
    price_prompt: amount(routing.price.prompt_micros),
    price_cached: routing.price.cached_micros === undefined ? "" : amount(routing.price.cached_micros),
    price_answer: amount(routing.price.answer_micros),
    price_request: amount(routing.price.request_micros),
    rules: routing.rules.length === 0 ? "[]" : `[\n${routing.rules.map((rule) => `  ${JSON.stringify(rule)}`).join(",\n")}\n]`,
  };
}

export type Problems = Partial<Record<Field, string>>;

const OPTIONAL = ["hedge_after_ms", "attempt_timeout_ms", "timeout_ms", "concurrent_max"] as const;

const WHOLE = /^\d{1,15}$/;

const listed = (typed: string): string[] => typed.split(/[\s,]+/).filter((one) => one !== "");

const AMOUNT = /^(\d{1,9})(?:\.(\d{1,6}))?$/;

/** An amount as it is typed, in millionths: by its digits, since fractions of floating point are not exact. */
export function microsOf(typed: string): number | undefined {
  const [, whole, rest = ""] = AMOUNT.exec(typed.trim()) ?? [];
  return whole === undefined ? undefined : Number(whole + rest.padEnd(6, "0"));
}

/** Millionths as an amount. */
export function amount(micros: number): string {
  const rest = String(micros % 1e6).padStart(6, "0").replace(/0{1,4}$/, "");
  return `${Math.floor(micros / 1e6)}.${rest}`;
}

/** What the form says, or what in it no server could read. What may be said and what not, only the server decides. */
export function routingOf(draft: Draft): { routing: Partial<Routing> } | { problems: Problems } {
  const problems: Problems = {};
  const whole = (field: Field): number => {
    const typed = draft[field].trim();
    if (!WHOLE.test(typed)) problems[field] = "must be a whole number";
    return Number(typed);
  };
  const money = (field: Field): number => {
    const micros = microsOf(draft[field]);
    if (micros === undefined) problems[field] = "must be an amount such as 0.15, with at most 6 digits after the point";
    return micros ?? 0;
  };
  const routing: Partial<Routing> = {
    router: draft.router,
    session_header: draft.session_header.trim(),
    weights: weightsOf(draft.weights, problems),
    prefix_slack_tokens: whole("prefix_slack_tokens"),
    retry: { attempts: whole("attempts"), budget_percent: whole("budget_percent") },
    fallback: listed(draft.fallback),
    price: {
      prompt_micros: money("price_prompt"),
      answer_micros: money("price_answer"),
      request_micros: money("price_request"),
      ...(draft.price_cached.trim() === "" ? {} : { cached_micros: money("price_cached") }),
    },
  };
  for (const field of OPTIONAL) if (draft[field].trim() !== "") routing[field] = whole(field);
  const rules = draft.rules.trim() === "" ? "[]" : draft.rules;
  const broken = jsonProblem(rules);
  if (broken) problems.rules = broken;
  else routing.rules = JSON.parse(rules) as Rule[];
  return Object.keys(problems).length > 0 ? { problems } : { routing };
}

function weightsOf(typed: string, problems: Problems): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const pair of listed(typed)) {
    const [version = "", weight = "", ...rest] = pair.split("=");
    if (!WHOLE.test(version) || !WHOLE.test(weight) || rest.length > 0) problems.weights = `“${pair}” is not a version and its weight, as in 3=9`;
    else if (weights[version] !== undefined) problems.weights = `names version ${version} twice`;
    else weights[version] = Number(weight);
  }
  return weights;
}

const FIELDS: Record<string, Field> = { "retry.attempts": "attempts", "retry.budget_percent": "budget_percent" };

/** The field of the form that a field of the API is: `rules[2].to.pool` is written in `rules`. */
export function fieldOf(path: string | undefined, draft: Draft): Field | undefined {
  if (path === undefined) return undefined;
  const named = FIELDS[path] ?? path.split(/[.[]/)[0] ?? path;
  return named in draft ? (named as Field) : undefined;
}

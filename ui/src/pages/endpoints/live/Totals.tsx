import type { EndpointStats } from "../../../api/endpoints";
import { count } from "../../../lib/format";
import { latency, share } from "./words";

interface Props {
  stats: EndpointStats;
  language: boolean;
}

export function Totals({ stats, language }: Props) {
  const { requests_total: all, prompt_tokens_total: prompts } = stats;
  const of = (part: number): string => (part === 0 || all === 0 ? count(part) : `${count(part)} (${share(part / all)})`);
  const pairs: [string, string][] = [
    ["Requests", count(all)],
    ["Failed", of(stats.failed_total)],
    ["Invalid", of(stats.invalid_total)],
    ["Cancelled", of(stats.cancelled_total)],
    ["Refused", count(stats.refused_total)],
    ["Mean latency", all === 0 ? "–" : latency(stats.latency_ms_sum / all)],
    ["Retries", count(stats.retries_total)],
    ["Hedges", count(stats.hedges_total)],
    ["Given to fallbacks", count(stats.fallbacks_total)],
  ];
  if (language) {
    pairs.push(["Tokens of prompts", count(prompts)]);
    pairs.push(["From the cache", prompts === 0 ? "–" : `${count(stats.cached_tokens_total)} (${share(stats.cached_tokens_total / prompts)})`]);
    pairs.push(["Tokens generated", count(stats.completion_tokens_total)]);
  }
  return <dl className="pairs totals">{pairs.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="number">{value}</dd></div>)}</dl>;
}

// Rates, shares and estimated times in words.
import { count, duration } from "../../../lib/format";
import { BEYOND_MS } from "./stats";

/** `0`, `0.4`, `12.5`, `1,204`: a rate without its unit. */
export function rate(value: number): string {
  if (value === 0) return "0";
  if (value < 0.095) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1).replace(/\.0$/, "") : count(Math.round(value));
}

/** An estimated time. Beyond the last bound of the histogram nothing more is known than that. */
export function latency(ms: number): string {
  if (ms >= BEYOND_MS) return "over 60 s";
  if (ms < 10) return `${ms.toFixed(1).replace(/\.0$/, "")} ms`;
  return duration(ms);
}

/** A time on an axis, which goes higher than what is known. */
export const tick = (ms: number): string => (ms === 0 ? "0" : duration(ms).replace(/\.0 s$/, " s").replace(/ 00 s$/, ""));

/** A share in percent: `0 %`, `0.4 %`, `64 %`; neither 0 nor 100 unless it is exactly that. */
export function share(value: number): string {
  const percent = value * 100;
  if (percent <= 0 || percent >= 100) return `${percent <= 0 ? 0 : 100} %`;
  if (percent < 0.1) return "under 0.1 %";
  if (percent > 99.9) return "over 99.9 %";
  return `${percent < 10 || percent > 99 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

//! What users would have seen, and how evenly replicas were used.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::simulate::{Objectives, Outcome, Setup};
use crate::trace::Trace;

/// How one strategy did on one trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The strategy's name.
    pub router: &'static str,
    /// Requests of the trace.
    pub requests: u64,
    /// Those of them that fit no replica's memory, and so were refused.
    pub refused: u64,
    /// From the first arrival to the last token, in seconds.
    pub makespan_s: f64,
    /// Time to the first token, from arrival.
    pub ttft_ms: Spread,
    /// Time for each token after the first, averaged over an answer; of answers with at least two.
    pub tpot_ms: Spread,
    /// Time to the last token, from arrival.
    pub latency_ms: Spread,
    /// Time in the replica's queue.
    pub queue_ms: Spread,
    /// Work done.
    pub throughput: Throughput,
    /// Tokens of prompts.
    pub prefill_tokens: Prefill,
    /// Answers that met the objectives.
    pub goodput: Goodput,
    /// Requests of each replica.
    pub requests_per_replica: Evenness,
    /// Tokens that each replica computed: prompts less what was cached, and answers.
    pub tokens_per_replica: Evenness,
    /// How often the router picked for which reason.
    pub reasons: BTreeMap<&'static str, u64>,
}

/// A distribution; percentiles are values that occurred (nearest rank). Zeros where nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// Nine of ten are at most this.
    pub p90: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Work in relation to the makespan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Throughput {
    /// Complete answers a second.
    pub requests_per_s: f64,
    /// Tokens of answers a second.
    pub output_tokens_per_s: f64,
    /// Tokens of prompts (cached ones too) and answers a second.
    pub total_tokens_per_s: f64,
}

/// Tokens of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Prefill {
    /// Those that were computed.
    pub computed: u64,
    /// Those that a prefix cache saved.
    pub saved: u64,
}

/// Answers that met the objectives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Goodput {
    /// What was asked.
    pub objectives: Objectives,
    /// Share of all requests, 0 to 1; refused ones count against it.
    pub share: f64,
    /// Such answers a second.
    pub requests_per_s: f64,
}

/// How evenly something is spread over the replicas.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evenness {
    /// Each replica's.
    pub each: Vec<u64>,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// The least as a share of the most, 0 to 1; 1 is even.
    pub min_of_max: f64,
    /// Coefficient of variation: standard deviation by mean; 0 is even.
    pub cv: f64,
}

/// What the simulation wrote down.
pub(crate) struct Tally {
    /// By place in the trace; none where a request was refused.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    pub(crate) reasons: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(crate) fn of(trace: &Trace, setup: &Setup, tally: &Tally) -> Self {
        let replicas = setup.replicas as usize;
        let (mut requests, mut tokens) = (vec![0; replicas], vec![0; replicas]);
        let (mut ttft, mut tpot, mut latency, mut queue) = (vec![], vec![], vec![], vec![]);
        let mut prefill = Prefill {
            computed: 0,
            saved: 0,
        };
        let (mut output, mut good, mut first_ns, mut last_ns) = (0, 0, u64::MAX, 0);
        for (recorded, outcome) in trace.requests().iter().zip(&tally.outcomes) {
            let Some(outcome) = outcome else { continue };
            let cached = u64::from(outcome.cached);
            let computed = u64::from(recorded.prompt_tokens).saturating_sub(cached);
            let answer = u64::from(recorded.output_tokens);
            prefill.computed += computed;
            prefill.saved += cached;
            output += answer;
            requests[outcome.replica] += 1;
            tokens[outcome.replica] += computed + answer;
            first_ns = first_ns.min(outcome.arrived_ns);
            last_ns = last_ns.max(outcome.finished_ns);
            let to_first = outcome.first_ns - outcome.arrived_ns;
            let per_token = (outcome.finished_ns - outcome.first_ns).checked_div(answer - 1);
            ttft.push(to_first);
            tpot.extend(per_token);
            latency.push(outcome.finished_ns - outcome.arrived_ns);
            queue.push(outcome.admitted_ns - outcome.arrived_ns);
            let objectives = &setup.objectives;
            let in_time = to_first <= objectives.ttft_ms.saturating_mul(1_000_000)
                && per_token.unwrap_or(0) <= objectives.tpot_ms.saturating_mul(1_000_000);
            good += u64::from(in_time);
        }
        let done = latency.len() as u64;
        let all = trace.requests().len() as u64;
        let span_s = real(last_ns.saturating_sub(first_ns)) / 1e9;
        let per_s = |count: u64| ratio(real(count), span_s);
        Self {
            router: setup.strategy.name(),
            requests: all,
            refused: all - done,
            makespan_s: span_s,
            ttft_ms: Spread::of_ns(ttft),
            tpot_ms: Spread::of_ns(tpot),
            latency_ms: Spread::of_ns(latency),
            queue_ms: Spread::of_ns(queue),
            throughput: Throughput {
                requests_per_s: per_s(done),
                output_tokens_per_s: per_s(output),
                total_tokens_per_s: per_s(output + prefill.computed + prefill.saved),
            },
            prefill_tokens: prefill,
            goodput: Goodput {
                objectives: setup.objectives,
                share: ratio(real(good), real(all)),
                requests_per_s: per_s(good),
            },
            requests_per_replica: Evenness::of(requests),
            tokens_per_replica: Evenness::of(tokens),
            reasons: tally.reasons.clone(),
        }
    }
}

impl Spread {
    /// Of times in nanoseconds, in milliseconds.
    fn of_ns(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let count = times.len();
        let ms = |time: u64| real(time) / 1e6;
        let percentile = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().map_or(0.0, ms)
        };
        let sum: u128 = times.iter().map(|time| u128::from(*time)).sum();
        let mean = u64::try_from(sum / (count.max(1) as u128)).unwrap_or(u64::MAX);
        Self {
            mean: ms(mean),
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: percentile(100),
        }
    }
}

impl Evenness {
    fn of(each: Vec<u64>) -> Self {
        let (min, max) = (
            each.iter().copied().min().unwrap_or(0),
            each.iter().copied().max().unwrap_or(0),
        );
        let count = real(each.len() as u64);
        let mean = each.iter().map(|value| real(*value)).sum::<f64>() / count.max(1.0);
        let squares: f64 = each.iter().map(|value| (real(*value) - mean).powi(2)).sum();
        Self {
            min,
            max,
            min_of_max: if max == 0 { 1.0 } else { real(min) / real(max) },
            cv: ratio((squares / count.max(1.0)).sqrt(), mean),
            each,
        }
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "for people: fifteen digits are enough")]
const fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let spread = Spread::of_ns((1..=200).rev().map(|n| n * 1_000_000).collect());
        assert_eq!(
            (spread.mean, spread.p50, spread.p90, spread.p99, spread.max),
            (100.5, 100.0, 180.0, 198.0, 200.0)
        );
        assert_eq!(Spread::of_ns(vec![]), Spread::default());
        assert_eq!(Spread::of_ns(vec![5_000_000]).p50, 5.0);
    }

    #[test]
    fn evenness_is_of_all_replicas() {
        let even = Evenness::of(vec![5, 5]);
        assert_eq!((even.min_of_max, even.cv), (1.0, 0.0));
        let uneven = Evenness::of(vec![0, 10]);
        assert_eq!(
            (uneven.min, uneven.max, uneven.min_of_max, uneven.cv),
            (0, 10, 0.0, 1.0)
        );
    }
}

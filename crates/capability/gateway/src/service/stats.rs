//! Counters of an endpoint: atomics on the way, plain numbers for whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corliss_engine::protocol::{FinishReason, Timing};
use corliss_types::ReplicaId;
use serde::Serialize;

use super::record::Outcome;
use super::timing::PromptTokens;
use super::versions::VersionStats;

/// Upper bounds of the latency histograms, in milliseconds; a last bucket holds the rest.
pub const LATENCY_BUCKETS_MS: [u64; 14] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000,
];

/// What an endpoint has done since it became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointStats {
    /// Endpoint.
    pub name: String,
    /// Registered model.
    pub model: String,
    /// Version that takes requests.
    pub version: u32,
    /// Requests that ended, however; one for several answers counts as several.
    pub requests_total: u64,
    /// Of these, how many the endpoint failed to answer.
    pub failed_total: u64,
    /// Of these, how many were wrong in themselves.
    pub invalid_total: u64,
    /// Of these, how many clients went away from.
    pub cancelled_total: u64,
    /// Requests not let in because there were too many at once; not part of `requests_total`.
    pub refused_total: u64,
    /// Further attempts on another replica.
    pub retries_total: u64,
    /// Further attempts beside the first one, because that took long; not part of `retries_total`.
    pub hedges_total: u64,
    /// Requests that were given to another endpoint because this one could not answer.
    pub fallbacks_total: u64,
    /// Tokens of prompts.
    pub prompt_tokens_total: u64,
    /// Of these, how many were in a replica's cache.
    pub cached_tokens_total: u64,
    /// Tokens generated.
    pub completion_tokens_total: u64,
    /// Sum of the times from request to end, in milliseconds.
    pub latency_ms_sum: u64,
    /// Requests by time from request to end; see [`LATENCY_BUCKETS_MS`].
    pub latency_buckets: Vec<u64>,
    /// Generations by time from request to first token.
    pub first_token_buckets: Vec<u64>,
    /// Requests in flight, by replica.
    pub in_flight: Vec<(ReplicaId, u64)>,
    /// What each version did.
    pub versions: Vec<VersionStats>,
}

/// Upper bounds of the histograms of tokens; a last bucket holds the rest.
const TOKEN_BUCKETS: [u64; 15] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000,
];

/// Counts by size, and their sum.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// In the unit of what is observed.
    bounds: &'static [u64],
    /// How many of that unit make one of the unit that is told.
    per_unit: f64,
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn over(bounds: &'static [u64], per_unit: f64) -> Self {
        Self {
            bounds,
            per_unit,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Of times, observed in milliseconds and told in seconds.
    fn of_times() -> Self {
        Self::over(&LATENCY_BUCKETS_MS, 1_000.0)
    }

    fn of_tokens() -> Self {
        Self::over(&TOKEN_BUCKETS, 1.0)
    }

    fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            add(count, 1);
        }
        add(&self.sum, value);
    }

    fn values(&self) -> Vec<u64> {
        self.counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    }

    /// Bounds, counts and sum, in the unit that is told.
    #[allow(clippy::cast_precision_loss, reason = "times and tokens, for people")]
    pub(crate) fn read(&self) -> (Vec<f64>, Vec<u64>, f64) {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / self.per_unit);
        let sum = self.sum.load(Ordering::Relaxed) as f64 / self.per_unit;
        (bounds.collect(), self.values(), sum)
    }
}

/// The counters themselves.
#[derive(Debug)]
pub(crate) struct Counters {
    requests: AtomicU64,
    failed: AtomicU64,
    invalid: AtomicU64,
    cancelled: AtomicU64,
    refused: AtomicU64,
    retries: AtomicU64,
    hedges: AtomicU64,
    fallbacks: AtomicU64,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    stopped: AtomicU64,
    cut: AtomicU64,
    called: AtomicU64,
    pub(crate) latency: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) prefill: Histogram,
    pub(crate) decode: Histogram,
    pub(crate) prompt_length: Histogram,
    pub(crate) answer_length: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        let none = AtomicU64::default;
        Self {
            requests: none(),
            failed: none(),
            invalid: none(),
            cancelled: none(),
            refused: none(),
            retries: none(),
            hedges: none(),
            fallbacks: none(),
            prompt_tokens: none(),
            cached_tokens: none(),
            completion_tokens: none(),
            stopped: none(),
            cut: none(),
            called: none(),
            latency: Histogram::of_times(),
            first_token: Histogram::of_times(),
            queue: Histogram::of_times(),
            prefill: Histogram::of_times(),
            decode: Histogram::of_times(),
            prompt_length: Histogram::of_tokens(),
            answer_length: Histogram::of_tokens(),
        }
    }
}

impl Counters {
    pub(crate) fn refused(&self) {
        add(&self.refused, 1);
    }

    pub(crate) fn retried(&self) {
        add(&self.retries, 1);
    }

    pub(crate) fn hedged(&self) {
        add(&self.hedges, 1);
    }

    pub(crate) fn fell_back(&self) {
        add(&self.fallbacks, 1);
    }

    pub(crate) fn first_token(&self, after: Duration) {
        self.first_token.observe(millis(after));
    }

    pub(crate) fn prompt_tokens(&self, prompt: PromptTokens) {
        add(&self.prompt_tokens, u64::from(prompt.all));
        add(&self.cached_tokens, u64::from(prompt.cached));
    }

    /// An answer of so many tokens is complete.
    pub(crate) fn generated(
        &self,
        prompt: PromptTokens,
        count: u32,
        finish: FinishReason,
        timing: Option<Timing>,
    ) {
        add(&self.completion_tokens, u64::from(count));
        let finished = match finish {
            FinishReason::Stop => &self.stopped,
            FinishReason::Length => &self.cut,
            FinishReason::ToolCalls => &self.called,
        };
        add(finished, 1);
        self.prompt_length.observe(u64::from(prompt.all));
        self.answer_length.observe(u64::from(count));
        if let Some(timing) = timing {
            self.queue.observe(timing.queue_us / 1_000);
            self.prefill.observe(timing.prefill_us / 1_000);
            self.decode.observe(timing.decode_us / 1_000);
        }
    }

    /// Tokens of prompts and of answers.
    pub(crate) fn tokens(&self) -> (u64, u64) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (get(&self.prompt_tokens), get(&self.completion_tokens))
    }

    /// Complete answers, by what ended them.
    pub(crate) fn finished(&self) -> [(&'static str, u64); 3] {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("stop", get(&self.stopped)),
            ("length", get(&self.cut)),
            ("tool_calls", get(&self.called)),
        ]
    }

    pub(crate) fn ended(&self, outcome: Outcome, after: Duration) {
        add(&self.requests, 1);
        self.latency.observe(millis(after));
        match outcome {
            Outcome::Answered => {}
            Outcome::Failed => add(&self.failed, 1),
            Outcome::Invalid => add(&self.invalid, 1),
            Outcome::Cancelled => add(&self.cancelled, 1),
        }
    }

    /// Requests that ended, however they did.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn snapshot(
        &self,
        name: String,
        model: String,
        version: u32,
        in_flight: Vec<(ReplicaId, u64)>,
    ) -> EndpointStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EndpointStats {
            name,
            model,
            version,
            requests_total: get(&self.requests),
            failed_total: get(&self.failed),
            invalid_total: get(&self.invalid),
            cancelled_total: get(&self.cancelled),
            refused_total: get(&self.refused),
            retries_total: get(&self.retries),
            hedges_total: get(&self.hedges),
            fallbacks_total: get(&self.fallbacks),
            prompt_tokens_total: get(&self.prompt_tokens),
            cached_tokens_total: get(&self.cached_tokens),
            completion_tokens_total: get(&self.completion_tokens),
            latency_ms_sum: get(&self.latency.sum),
            latency_buckets: self.latency.values(),
            first_token_buckets: self.first_token.values(),
            in_flight,
            versions: Vec::new(),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_the_bucket_that_bounds_them() {
        let counters = Counters::default();
        for millis in [0, 1, 2, 3, 60_000, 60_001] {
            counters.ended(Outcome::Answered, Duration::from_millis(millis));
        }
        let stats = counters.snapshot(String::new(), String::new(), 1, Vec::new());
        assert_eq!(stats.latency_buckets[..3], [2, 1, 1]);
        assert_eq!(stats.latency_buckets[13..], [1, 1]);
        assert_eq!((stats.requests_total, stats.latency_ms_sum), (6, 120_007));
    }
}

//! Counters of an endpoint: atomics on the way, plain numbers for whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corliss_types::ReplicaId;
use serde::Serialize;

use super::record::Outcome;
use super::timing::PromptTokens;

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
}

#[derive(Debug, Default)]
struct Histogram([AtomicU64; LATENCY_BUCKETS_MS.len() + 1]);

impl Histogram {
    fn observe(&self, millis: u64) {
        let bucket = LATENCY_BUCKETS_MS.partition_point(|bound| *bound < millis);
        if let Some(count) = self.0.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn values(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// The counters themselves.
#[derive(Debug, Default)]
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
    latency_ms: AtomicU64,
    latency: Histogram,
    first_token: Histogram,
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

    pub(crate) fn completion_tokens(&self, count: u32) {
        add(&self.completion_tokens, u64::from(count));
    }

    pub(crate) fn ended(&self, outcome: Outcome, after: Duration) {
        add(&self.requests, 1);
        add(&self.latency_ms, millis(after));
        self.latency.observe(millis(after));
        match outcome {
            Outcome::Answered => {}
            Outcome::Failed => add(&self.failed, 1),
            Outcome::Invalid => add(&self.invalid, 1),
            Outcome::Cancelled => add(&self.cancelled, 1),
        }
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
            latency_ms_sum: get(&self.latency_ms),
            latency_buckets: self.latency.values(),
            first_token_buckets: self.first_token.values(),
            in_flight,
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

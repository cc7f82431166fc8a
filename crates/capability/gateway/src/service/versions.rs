//! What each version of an endpoint's model did with its requests: what releases are judged by.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use corliss_policy_serving::release::{BUCKETS, Counts, Seen, Spread, bucket_of};
use serde::Serialize;

use super::record::Outcome;

/// Versions that an endpoint remembers beside those that it serves, the newest ones.
const REMEMBERED: usize = 8;

/// What a version did since it became known: counters that only rise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionTraffic {
    /// Requests, copies included.
    pub counts: Counts,
    /// Tokens generated.
    pub completion_tokens: u64,
    /// Copies whose answer was the same as the real one.
    pub same: u64,
    /// Copies whose answer was another.
    pub different: u64,
    /// Copies that were not made because too many were under way, or nobody was there to take them.
    pub skipped: u64,
}

/// As shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionStats {
    /// The version.
    pub version: u32,
    /// What it did, in a few numbers.
    #[serde(flatten)]
    pub seen: Seen,
    /// Tokens generated.
    pub completion_tokens_total: u64,
    /// Copies whose answer was the same as the real one.
    pub copies_same_total: u64,
    /// Copies whose answer was another.
    pub copies_different_total: u64,
    /// Copies that were not made.
    pub copies_skipped_total: u64,
}

/// The counters of a version.
#[derive(Debug)]
pub(crate) struct VersionCounters {
    requests: AtomicU64,
    errors: AtomicU64,
    completion_tokens: AtomicU64,
    same: AtomicU64,
    different: AtomicU64,
    skipped: AtomicU64,
    latency: Times,
    first_token: Times,
}

#[derive(Debug)]
struct Times {
    counts: Vec<AtomicU64>,
    sum_us: AtomicU64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum_us: AtomicU64::new(0),
        }
    }
}

impl Times {
    fn observe(&self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(bucket_of(us)) {
            add(count, 1);
        }
        add(&self.sum_us, us);
    }

    fn read(&self) -> Spread {
        Spread::new(self.counts.iter().map(get).collect())
    }
}

impl Default for VersionCounters {
    fn default() -> Self {
        let none = AtomicU64::default;
        Self {
            requests: none(),
            errors: none(),
            completion_tokens: none(),
            same: none(),
            different: none(),
            skipped: none(),
            latency: Times::default(),
            first_token: Times::default(),
        }
    }
}

impl VersionCounters {
    /// A request has ended. One that is wrong in itself counts as an error, too: a version that no longer takes what
    /// the other one takes says just that.
    pub(crate) fn ended(&self, outcome: Outcome, after: Duration) {
        add(&self.requests, 1);
        if matches!(outcome, Outcome::Failed | Outcome::Invalid) {
            add(&self.errors, 1);
        }
        // What is refused as wrong is refused at once, and says nothing of how fast answers are.
        if outcome != Outcome::Invalid {
            self.latency.observe(after);
        }
    }

    /// An attempt failed, and the request went elsewhere.
    pub(crate) fn failed_attempt(&self) {
        add(&self.requests, 1);
        add(&self.errors, 1);
    }

    pub(crate) fn first_token(&self, after: Duration) {
        self.first_token.observe(after);
    }

    pub(crate) fn generated(&self, completion_tokens: u32) {
        add(&self.completion_tokens, u64::from(completion_tokens));
    }

    pub(crate) fn compared(&self, same: bool) {
        add(if same { &self.same } else { &self.different }, 1);
    }

    pub(crate) fn skipped(&self) {
        add(&self.skipped, 1);
    }

    pub(crate) fn read(&self) -> VersionTraffic {
        VersionTraffic {
            counts: Counts {
                requests: get(&self.requests),
                errors: get(&self.errors),
                latency: self.latency.read(),
                first_token: self.first_token.read(),
            },
            completion_tokens: get(&self.completion_tokens),
            same: get(&self.same),
            different: get(&self.different),
            skipped: get(&self.skipped),
        }
    }

    /// Sums of the times to the end and to the first of the answer, in µs.
    pub(crate) fn sums_us(&self) -> (u64, u64) {
        (get(&self.latency.sum_us), get(&self.first_token.sum_us))
    }
}

/// The counters of an endpoint's versions.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<BTreeMap<u32, Arc<VersionCounters>>>);

impl Versions {
    /// Those of this version, which may be new.
    pub(crate) fn of(&self, version: u32) -> Arc<VersionCounters> {
        self.lock().entry(version).or_default().clone()
    }

    /// Forgets all but those served, and the newest of the others.
    pub(crate) fn keep(&self, served: impl Fn(u32) -> bool) {
        let mut known = self.lock();
        let others: Vec<u32> = known
            .keys()
            .copied()
            .filter(|version| !served(*version))
            .collect();
        let old = others.len().saturating_sub(REMEMBERED);
        for version in &others[..old] {
            known.remove(version);
        }
    }

    /// What this version did; nothing if it is not known.
    pub(crate) fn read(&self, version: u32) -> VersionTraffic {
        let counters = self.lock().get(&version).cloned();
        counters.map(|counters| counters.read()).unwrap_or_default()
    }

    /// All of them, by version.
    pub(crate) fn all(&self) -> Vec<(u32, Arc<VersionCounters>)> {
        let known = self.lock();
        known
            .iter()
            .map(|(version, counters)| (*version, counters.clone()))
            .collect()
    }

    pub(crate) fn stats(&self) -> Vec<VersionStats> {
        let stats = |(version, counters): (u32, Arc<VersionCounters>)| {
            let done = counters.read();
            VersionStats {
                version,
                seen: done.counts.seen(),
                completion_tokens_total: done.completion_tokens,
                copies_same_total: done.same,
                copies_different_total: done.different,
                copies_skipped_total: done.skipped,
            }
        };
        self.all().into_iter().map(stats).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<VersionCounters>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_charged_with_what_it_did() {
        let versions = Versions::default();
        let counters = versions.of(2);
        counters.ended(Outcome::Answered, Duration::from_millis(10));
        counters.ended(Outcome::Cancelled, Duration::from_secs(5));
        counters.ended(Outcome::Invalid, Duration::from_micros(1));
        counters.ended(Outcome::Failed, Duration::from_millis(1));
        counters.failed_attempt();
        let counts = versions.read(2).counts;
        assert_eq!(
            (counts.requests, counts.errors, counts.latency.count()),
            (5, 3, 3)
        );
        assert!(
            counts.seen().p99_us.unwrap() >= 5_000_000,
            "who went away waited so long"
        );
        assert_eq!(versions.read(1), VersionTraffic::default());
    }

    #[test]
    fn old_versions_are_forgotten_and_served_ones_never() {
        let versions = Versions::default();
        for version in 1..=20 {
            versions.of(version);
        }
        versions.keep(|version| version == 1);
        let known: Vec<u32> = versions.all().into_iter().map(|(version, _)| version).collect();
        assert_eq!(known, [1, 13, 14, 15, 16, 17, 18, 19, 20]);
    }
}

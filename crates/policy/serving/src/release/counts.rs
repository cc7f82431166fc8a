//! What a version did with its requests, as plain numbers: counters that rise, and differences between two looks at them.

use serde::{Deserialize, Serialize};

/// Parts of each doubling: what is read from a spread is at most an eighth too large.
const PARTS_LOG2: u32 = 3;
const PARTS: usize = 1 << PARTS_LOG2;
/// Doublings from 1 µs to 18 minutes.
const DOUBLINGS: usize = 30;
/// Buckets of a [`Spread`].
pub const BUCKETS: usize = PARTS * (DOUBLINGS + 1);

/// The bucket that a time falls into.
#[must_use]
pub fn bucket_of(us: u64) -> usize {
    let us = us.max(1);
    let doubling = us.ilog2();
    let part = if doubling >= PARTS_LOG2 {
        us >> (doubling - PARTS_LOG2)
    } else {
        us << (PARTS_LOG2 - doubling)
    };
    let part = usize::try_from(part).unwrap_or(PARTS) % PARTS;
    ((doubling as usize) * PARTS + part).min(BUCKETS - 1)
}

/// No time in this bucket is longer, in µs; the last one holds what is longer, too.
#[must_use]
pub fn bucket_bound_us(bucket: usize) -> u64 {
    let (doubling, part) = (bucket / PARTS, (bucket % PARTS) as u64);
    let next = (PARTS as u64 + part + 1) << doubling;
    (next >> PARTS_LOG2)
        .saturating_sub(u64::from(doubling >= PARTS_LOG2 as usize))
        .max(1 << doubling)
}

/// How many took how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// Of this many in each bucket, from the shortest on.
    #[must_use]
    pub fn new(mut counts: Vec<u64>) -> Self {
        counts.truncate(BUCKETS);
        Self(counts)
    }

    /// One more took so long.
    pub fn observe(&mut self, us: u64) {
        self.0.resize(BUCKETS, 0);
        if let Some(count) = self.0.get_mut(bucket_of(us)) {
            *count += 1;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time within which so many of a thousand ended, in µs; none if there is nothing.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u64) -> Option<u64> {
        let rank = self.count().saturating_mul(per_mille).div_ceil(1_000).max(1);
        let mut below = 0;
        let bucket = self.0.iter().position(|count| {
            below += count;
            below >= rank
        });
        bucket.map(bucket_bound_us)
    }

    /// How many took longer for certain; those in the bucket of the limit are not told apart and count as within.
    #[must_use]
    pub fn above(&self, limit_us: u64) -> u64 {
        self.0.iter().skip(bucket_of(limit_us) + 1).sum()
    }

    /// How many in buckets up to this bound, for histograms that others read.
    #[must_use]
    pub fn within(&self, limit_us: u64) -> u64 {
        self.count() - self.above(limit_us)
    }

    fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: usize| earlier.0.get(bucket).copied().unwrap_or(0);
        let counts = self.0.iter().enumerate();
        Self(
            counts
                .map(|(bucket, count)| count.saturating_sub(before(bucket)))
                .collect(),
        )
    }
}

/// What a version did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that ended, however; those that were given to another replica afterwards, too.
    pub requests: u64,
    /// Of these, how many got no answer, be it said that they were wrong in themselves.
    pub errors: u64,
    /// From coming to end, of all that were not refused as wrong.
    pub latency: Spread,
    /// From coming to the first of the answer.
    pub first_token: Spread,
}

impl Counts {
    /// What was done since an earlier look. Counters that began anew in between have done nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            errors: self.errors.saturating_sub(earlier.errors),
            latency: self.latency.since(&earlier.latency),
            first_token: self.first_token.since(&earlier.first_token),
        }
    }

    /// In a few numbers.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            requests: self.requests,
            errors: self.errors,
            p50_us: self.latency.quantile_us(500),
            p99_us: self.latency.quantile_us(990),
            first_token_p99_us: self.first_token.quantile_us(990),
        }
    }
}

/// What a version did, in a few numbers. Times are in microseconds, an eighth too long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Requests that ended.
    pub requests: u64,
    /// Of these, how many got no answer.
    pub errors: u64,
    /// Half of them took at most so long.
    pub p50_us: Option<u64>,
    /// 99 of 100 took at most so long.
    pub p99_us: Option<u64>,
    /// Of 99 of 100 the first of the answer came within this time.
    pub first_token_p99_us: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_within_an_eighth_of_its_buckets_bound() {
        for us in (0..2_000).chain([65_535, 65_536, 1_000_000, 60_000_000, (1 << 31) - 1]) {
            let bound = bucket_bound_us(bucket_of(us));
            assert!(us.max(1) <= bound && bound <= us.max(1) + us / 8, "{us} {bound}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        let bounds: Vec<u64> = (0..BUCKETS).map(bucket_bound_us).collect();
        assert!(bounds.is_sorted());
    }

    #[test]
    fn quantiles_and_what_is_above() {
        let mut spread = Spread::default();
        assert_eq!((spread.quantile_us(990), spread.above(0)), (None, 0));
        for us in 1..=1_000 {
            spread.observe(us * 1_000);
        }
        let p99 = spread.quantile_us(990).unwrap();
        assert!((990_000..=1_115_000).contains(&p99), "{p99}");
        assert_eq!(spread.above(p99), 0);
        assert!((400..=500).contains(&spread.above(500_000)));
        assert_eq!(spread.within(500_000) + spread.above(500_000), 1_000);
        let mut more = spread.clone();
        more.observe(7);
        assert_eq!(more.since(&spread).quantile_us(500), Some(7));
    }
}

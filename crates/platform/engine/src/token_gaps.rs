//! Times between one token of an answer and the next, as a histogram: what vLLM calls inter-token latency.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Upper bounds of its buckets, in microseconds; a last bucket holds the rest.
pub const TOKEN_GAP_BOUNDS_US: [u64; 19] = [
    1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000, 75_000, 100_000, 150_000, 200_000,
    300_000, 500_000, 1_000_000, 2_500_000, 10_000_000, 60_000_000,
];

/// How many times between tokens fell into which bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenGaps {
    /// By bucket; one more than there are bounds, or empty if there is none to count.
    pub counts: Vec<u64>,
    /// Sum of the times, in microseconds.
    pub us_sum: u64,
}

impl TokenGaps {
    /// One more.
    pub fn observe(&mut self, gap: Duration) {
        let us = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX);
        self.counts.resize(TOKEN_GAP_BOUNDS_US.len() + 1, 0);
        let bucket = TOKEN_GAP_BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.us_sum = self.us_sum.saturating_add(us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_bucket_that_bounds_it() {
        let mut gaps = TokenGaps::default();
        for us in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
            gaps.observe(Duration::from_micros(us));
        }
        assert_eq!(gaps.counts[..2], [2, 1]);
        assert_eq!(gaps.counts[18..], [1, 1]);
        assert_eq!(gaps.us_sum, 120_002_002);
    }
}

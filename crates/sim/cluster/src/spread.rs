//! How a time is distributed over jobs.

use serde::Serialize;

/// A distribution, in seconds; percentiles are values that occurred (nearest rank).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// The distribution of these microseconds.
pub fn spread(values: impl Iterator<Item = u64>) -> Spread {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let (Some(last), count) = (values.last(), values.len()) else {
        return Spread::default();
    };
    let rank = |percent: usize| values[(count * percent).div_ceil(100).max(1) - 1];
    let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
    Spread {
        mean: seconds(sum) / seconds(count as u128 * 1_000_000),
        p50: seconds(rank(50).into()),
        p99: seconds(rank(99).into()),
        max: seconds((*last).into()),
    }
}

/// These microseconds as milliseconds, ascending.
pub(crate) fn ascending(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.map(|us| us / 1_000).collect();
    values.sort_unstable();
    values
}

#[expect(clippy::cast_precision_loss, reason = "seconds are told, not counted")]
fn seconds(us: u128) -> f64 {
    us as f64 / 1e6
}

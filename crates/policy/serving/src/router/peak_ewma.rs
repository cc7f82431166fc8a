//! How fast a replica answers: a moving average that rises at once and falls slowly (peak EWMA).
//!
//! Problem: of two replicas take the one that will answer first. Its past latency, weighted by how recent it
//! is, times the requests that would wait with this one, is a good guess. A slow answer counts in full at
//! once, because trouble comes suddenly; fast ones win trust back step by step. Without any news the average
//! fades, so a replica that was slow is tried again.

use corliss_types::{DurationMs, Timestamp};

/// One replica's average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PeakEwma {
    average_us: u64,
    at: Timestamp,
    measured: bool,
}

impl PeakEwma {
    /// The average as of now, in microseconds; `None` before the first answer.
    pub(super) fn average_us(&self, now: Timestamp, half_life: DurationMs) -> Option<u64> {
        let aged = || faded(self.average_us, now.since(self.at), half_life);
        self.measured.then(aged)
    }

    /// Takes an answer into account.
    pub(super) fn measured(&mut self, latency_us: u64, now: Timestamp, half_life: DurationMs) {
        let average_us = if !self.measured || latency_us >= self.average_us {
            latency_us
        } else {
            let gap = self.average_us - latency_us;
            latency_us + faded(gap, now.since(self.at), half_life)
        };
        *self = Self {
            average_us,
            at: self.at.max(now),
            measured: true,
        };
    }
}

/// What is left of a value after a time: half after each half-life, and a straight line between two of them,
/// which is at most 6% off and needs no floats.
fn faded(value: u64, elapsed: DurationMs, half_life: DurationMs) -> u64 {
    let half_life = half_life.0.max(1);
    let halvings = u32::try_from(elapsed.0 / half_life).unwrap_or(u32::MAX);
    let Some(value) = value.checked_shr(halvings) else {
        return 0;
    };
    let part = u128::from(value) * u128::from(elapsed.0 % half_life) / (2 * u128::from(half_life));
    value - u64::try_from(part).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: DurationMs = DurationMs(1_000);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn it_rises_at_once_falls_slowly_and_fades() {
        let mut ewma = PeakEwma::default();
        assert_eq!(ewma.average_us(at(0), HALF), None);
        ewma.measured(100, at(0), HALF);
        ewma.measured(900, at(10), HALF);
        assert_eq!(ewma.average_us(at(10), HALF), Some(900));
        // Half the way to the new value after one half-life.
        ewma.measured(100, at(1_010), HALF);
        assert_eq!(ewma.average_us(at(1_010), HALF), Some(500));
        assert_eq!(ewma.average_us(at(3_010), HALF), Some(125));
        assert_eq!(ewma.average_us(at(1_000_000), HALF), Some(0));
    }
}

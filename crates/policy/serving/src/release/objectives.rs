//! Whether a version breaches its objectives, told from chance.
//!
//! Two questions are asked, and both must say yes. Is its share of bad requests above the limit: the one-sided score test,
//! which is what a Wilson interval says whose lower end lies above the limit. And is it worse than the version beside it,
//! if that one had enough requests: the test of two shares with a pooled variance. So neither one error of ten nor a cause
//! that hits both versions alike rolls anything back. A p99 above a limit is the same question: more than 1 of 100 took
//! longer. All in integers, with the correction for continuity, which errs on the side of waiting.

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Spread};
use super::plan::Objectives;

/// Requests after which a heavy breach is one, whatever the plan's minimum.
pub const MINIMUM_AT_ONCE: u64 = 10;
/// One in a hundred, which is what a p99 allows.
const SLOW_BP: u32 = 100;
/// A quarter of all being bad is heavy.
const HEAVY_BP: u32 = 2_500;
/// More are counted in larger units, so that no product overflows.
const COUNT_MAX: u64 = 1 << 23;

/// What was breached, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "breach", rename_all = "snake_case")]
pub enum Breach {
    /// Too many requests got no answer.
    Errors {
        /// How many got none.
        errors: u64,
        /// Of so many.
        requests: u64,
        /// What is allowed, in hundredths of a percent.
        limit_bp: u32,
        /// The version beside it, where it had enough requests to be compared with.
        #[serde(skip_serializing_if = "Option::is_none")]
        beside: Option<(u64, u64)>,
    },
    /// Too many requests took too long.
    Slow {
        /// What of them.
        what: Timed,
        /// How many took longer than allowed.
        slow: u64,
        /// Of so many.
        requests: u64,
        /// What is allowed for 99 of 100, in µs.
        limit_us: u64,
        /// What 99 of 100 kept to, in µs.
        p99_us: u64,
        /// What 99 of 100 kept to in the version beside it, in µs, where it had enough requests to be compared with.
        #[serde(skip_serializing_if = "Option::is_none")]
        beside_p99_us: Option<u64>,
    },
    /// Its replicas ended by themselves.
    Crashes {
        /// How many in a row.
        crashes: u32,
    },
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timed {
    /// From coming to end.
    Latency,
    /// From coming to the first of the answer.
    FirstToken,
}

/// How sure to be that one version is worse than the other: chance makes it so once in 30,000 times.
const DEVIATIONS_BESIDE: u32 = 4;

/// How sure to be that a limit is passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rigour {
    /// Standard deviations: chance does it once in 700 times with 3, once in 30,000 with 4.
    pub(super) deviations: u32,
    /// Whether only what is far beyond the limit counts.
    pub(super) heavy: bool,
}

/// The first objective that the new version breaches.
pub(super) fn breach(
    objectives: &Objectives,
    minimum: u64,
    old: &Counts,
    new: &Counts,
    rigour: Rigour,
) -> Option<Breach> {
    let compared = minimum.max(MINIMUM_AT_ONCE);
    let errors = Bad {
        bad: new.errors,
        of: new.requests,
    };
    let beside = (old.requests >= compared).then_some(Bad {
        bad: old.errors,
        of: old.requests,
    });
    if errors.is_breach(objectives.max_error_bp, beside, rigour) {
        return Some(Breach::Errors {
            errors: errors.bad,
            requests: errors.of,
            limit_bp: objectives.max_error_bp,
            beside: beside.map(|beside| (beside.bad, beside.of)),
        });
    }
    let of_old = old
        .latency
        .quantile_us(990)
        .filter(|_| old.latency.count() >= compared);
    let relative = objectives
        .max_p99_ratio_percent
        .and_then(|ratio| Some(of_old?.saturating_mul(ratio) / 100));
    let absolute = objectives.max_p99_ms.map(|limit| limit.saturating_mul(1_000));
    let latency = [absolute, relative].into_iter().flatten().min();
    let first_token = objectives
        .max_first_token_p99_ms
        .map(|limit| limit.saturating_mul(1_000));
    slow(
        Timed::Latency,
        latency,
        compared,
        &old.latency,
        &new.latency,
        rigour,
    )
    .or_else(|| {
        slow(
            Timed::FirstToken,
            first_token,
            compared,
            &old.first_token,
            &new.first_token,
            rigour,
        )
    })
}

fn slow(
    what: Timed,
    limit_us: Option<u64>,
    compared: u64,
    old: &Spread,
    new: &Spread,
    rigour: Rigour,
) -> Option<Breach> {
    let limit_us = limit_us?;
    let above = |spread: &Spread| Bad {
        bad: spread.above(limit_us),
        of: spread.count(),
    };
    let beside = (old.count() >= compared).then(|| above(old));
    let bad = above(new);
    bad.is_breach(SLOW_BP, beside, rigour).then(|| Breach::Slow {
        what,
        slow: bad.bad,
        requests: bad.of,
        limit_us,
        p99_us: new.quantile_us(990).unwrap_or_default(),
        beside_p99_us: beside.and_then(|_| old.quantile_us(990)),
    })
}

/// So many bad ones of all.
#[derive(Debug, Clone, Copy)]
struct Bad {
    bad: u64,
    of: u64,
}

impl Bad {
    fn is_breach(self, limit_bp: u32, beside: Option<Self>, rigour: Rigour) -> bool {
        let limit_bp = if rigour.heavy {
            limit_bp.saturating_mul(4).max(HEAVY_BP)
        } else {
            limit_bp
        };
        self.is_above(limit_bp, rigour.deviations)
            && beside.is_none_or(|beside| self.is_worse_than(beside, DEVIATIONS_BESIDE))
    }

    /// In units of which there are not too many.
    fn scaled(self, unit: u64) -> (i128, i128) {
        (
            i128::from(self.bad.min(self.of) / unit),
            i128::from(self.of / unit),
        )
    }

    /// Whether the share is above the limit by more than so many deviations of chance.
    fn is_above(self, limit_bp: u32, deviations: u32) -> bool {
        let unit = self.of.div_ceil(COUNT_MAX).max(1);
        let ((bad, of), limit) = (self.scaled(unit), i128::from(limit_bp));
        // Twice what is too much, in ten-thousandths, less the one half that is the step between two counts.
        let excess = (2 * bad - 1) * 10_000 - 2 * of * limit;
        let variance = 4 * of * limit * (10_000 - limit).max(0);
        excess > 0 && excess * excess > square(deviations) * variance
    }

    /// Whether its share is higher than that of the other by more than so many deviations of chance.
    fn is_worse_than(self, other: Self, deviations: u32) -> bool {
        let unit = self.of.max(other.of).div_ceil(COUNT_MAX).max(1);
        let ((bad, of), (bad_there, of_there)) = (self.scaled(unit), other.scaled(unit));
        let (all, all_bad) = (of + of_there, bad + bad_there);
        let excess = 2 * (bad * of_there - bad_there * of) - all;
        let variance = 4 * all_bad * (all - all_bad) * of * of_there;
        // Both sides are divided by the number of all, so that the square stays small enough.
        excess > 0 && excess * excess > square(deviations) * (variance / all.max(1))
    }
}

fn square(deviations: u32) -> i128 {
    i128::from(deviations) * i128::from(deviations)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bad(bad: u64, of: u64) -> Bad {
        Bad { bad, of }
    }

    #[test]
    fn shares_are_told_from_chance() {
        assert!(!bad(1, 10).is_above(200, 3), "one of ten may be chance");
        assert!(!bad(3, 50).is_above(100, 3));
        assert!(bad(4, 50).is_above(100, 3));
        assert!(!bad(220, 10_000).is_above(200, 3));
        assert!(bad(250, 10_000).is_above(200, 3));
        assert!(bad(1, 1_000).is_above(0, 3), "what allows none allows none");
        assert!(!bad(0, 0).is_above(0, 3) && !bad(10, 10).is_above(10_000, 3));
    }

    #[test]
    fn two_shares_are_told_from_chance() {
        assert!(bad(10, 10).is_worse_than(bad(0, 100), 4));
        assert!(!bad(10, 10).is_worse_than(bad(100, 100), 3));
        assert!(!bad(6, 50).is_worse_than(bad(95, 1_000), 3));
        assert!(bad(20, 50).is_worse_than(bad(95, 1_000), 3));
        assert!(!bad(0, 0).is_worse_than(bad(0, 0), 3));
        // Without overflow, however many.
        assert!(bad(u64::MAX, u64::MAX).is_worse_than(bad(0, u64::MAX), 4));
        assert!(bad(u64::MAX, u64::MAX).is_above(9_999, 4));
    }

    #[test]
    fn a_heavy_breach_needs_most_of_ten() {
        let heavy = Rigour {
            deviations: 4,
            heavy: true,
        };
        assert!(bad(10, 10).is_breach(100, None, heavy));
        assert!(!bad(5, 10).is_breach(100, None, heavy));
        assert!(!bad(3, 3).is_breach(100, None, heavy));
        assert!(bad(60, 100).is_breach(100, Some(bad(0, 100)), heavy));
        assert!(!bad(60, 100).is_breach(100, Some(bad(60, 100)), heavy));
    }
}

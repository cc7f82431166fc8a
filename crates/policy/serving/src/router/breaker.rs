//! A circuit breaker for one replica.
//!
//! Problem: a replica that cannot be reached, or fails again and again, should cost as few requests as
//! possible, and be found again soon after it is well.
//!
//! *Closed*: it takes requests. One refused connection, or several failures in a row, open it. *Open*: it
//! rests for a time that doubles with each opening. *Half-open*: after that, one request is the probe. Its
//! answer closes the breaker, its failure opens it again, and until then nobody else is sent there.

use corliss_types::{DurationMs, Timestamp};

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it. A refused connection opens it at once: nothing listens there.
    pub failures: u32,
    /// First rest.
    pub rest_min: DurationMs,
    /// Longest rest.
    pub rest_max: DurationMs,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            failures: 3,
            rest_min: DurationMs(250),
            rest_max: DurationMs(8_000),
        }
    }
}

/// The state of one replica's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Takes requests.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// Rests.
    Open {
        /// Until when.
        until: Timestamp,
        /// How often in a row it has opened.
        openings: u32,
    },
    /// Takes one request at a time, until one is answered.
    HalfOpen {
        /// How often in a row it has opened.
        openings: u32,
        /// Whether the one request is on its way.
        probing: bool,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Until when it takes no request: `None` if it takes one now. A half-open one whose probe is on its way
    /// says `now`: it takes the next one as soon as that has ended.
    #[must_use]
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Open { until, .. } if *until > now => Some(*until),
            Self::HalfOpen { probing: true, .. } => Some(now),
            _ => None,
        }
    }

    /// It was picked: the first request after a rest is the probe.
    pub fn picked(&mut self, now: Timestamp) {
        if let Self::Open { until, openings } = *self
            && until <= now
        {
            *self = Self::HalfOpen {
                openings,
                probing: false,
            };
        }
    }

    /// A request is on its way.
    pub fn started(&mut self) {
        if let Self::HalfOpen { probing, .. } = self {
            *probing = true;
        }
    }

    /// A request has ended. One that ended without a word about the replica, as when the client hung up,
    /// makes room for another probe.
    pub fn finished(&mut self) {
        if let Self::HalfOpen { probing, .. } = self {
            *probing = false;
        }
    }

    /// The replica answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// A request failed by the replica's fault.
    pub fn failed(&mut self, now: Timestamp, limits: &BreakerLimits) {
        match *self {
            Self::Closed { failures } if failures.saturating_add(1) < limits.failures => {
                *self = Self::Closed {
                    failures: failures + 1,
                };
            }
            _ => self.refused(now, limits),
        }
    }

    /// The replica could not be reached.
    pub fn refused(&mut self, now: Timestamp, limits: &BreakerLimits) {
        let openings = match *self {
            Self::Closed { .. } => 0,
            Self::HalfOpen { openings, .. } => openings,
            // Twenty requests that were on their way when it broke are one failure, not twenty.
            Self::Open { until, .. } if until > now => return,
            Self::Open { openings, .. } => openings,
        };
        let rest = limits.rest_min.0.saturating_mul(1_u64 << openings.min(32));
        *self = Self::Open {
            until: now + DurationMs(rest.min(limits.rest_max.0)),
            openings: openings.saturating_add(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        failures: 3,
        rest_min: DurationMs(250),
        rest_max: DurationMs(1_000),
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), &LIMITS);
        breaker.failed(at(0), &LIMITS);
        breaker.answered();
        breaker.failed(at(0), &LIMITS);
        breaker.failed(at(0), &LIMITS);
        assert_eq!(breaker.rests_until(at(0)), None);
        breaker.failed(at(0), &LIMITS);
        assert_eq!(breaker.rests_until(at(0)), Some(at(250)));
    }

    #[test]
    fn one_probe_at_a_time_and_each_that_fails_doubles_the_rest() {
        let mut breaker = Breaker::default();
        breaker.refused(at(0), &LIMITS);
        let mut now = 0;
        for rest in [250, 500, 1_000, 1_000] {
            // More failures of requests that were on their way change nothing.
            breaker.failed(at(now), &LIMITS);
            breaker.refused(at(now), &LIMITS);
            assert_eq!(breaker.rests_until(at(now)), Some(at(now + rest)));
            now += rest;
            assert_eq!(breaker.rests_until(at(now)), None);
            breaker.picked(at(now));
            breaker.started();
            assert_eq!(
                breaker.rests_until(at(now)),
                Some(at(now)),
                "the probe is on its way"
            );
            breaker.failed(at(now), &LIMITS);
        }
        breaker.answered();
        assert_eq!(breaker, Breaker::Closed { failures: 0 });
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room_for_another() {
        let mut breaker = Breaker::default();
        breaker.refused(at(0), &LIMITS);
        breaker.picked(at(250));
        breaker.started();
        breaker.finished();
        assert_eq!(breaker.rests_until(at(250)), None);
    }
}

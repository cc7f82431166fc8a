//! What becomes of an event once it was sent: a pure function of the outcome and of how often it was tried.

use std::time::Duration;

use crate::{Outcome, Schedule, Verdict, seed};

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrived.
    Delivered,
    /// Nobody tries again.
    GivenUp,
    /// It is sent again after this pause, and what is behind it waits.
    Again(Duration),
}

impl Fate {
    /// The fate of an event that was tried `tried` times, the last of which ended so, and that is `age` old. `id` is what
    /// its requests have in common.
    #[must_use]
    pub fn of(outcome: &Outcome, schedule: &Schedule, tried: u32, age: Duration, id: &str) -> Self {
        match outcome.verdict() {
            Verdict::Accepted => Self::Delivered,
            Verdict::Refused | Verdict::Gone => Self::GivenUp,
            Verdict::Again => schedule
                .next(tried, age, outcome.retry_after(), seed(id))
                .map_or(Self::GivenUp, Self::Again),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Outcome {
        Outcome::Answered {
            status,
            retry_after: None,
            said: String::new(),
        }
    }

    #[test]
    fn what_is_refused_is_not_sent_again_and_what_is_busy_is_until_it_is_too_old() {
        let schedule = Schedule::default();
        let fate = |status, tried, age| Fate::of(&answered(status), &schedule, tried, age, "a");
        assert_eq!(fate(204, 1, Duration::ZERO), Fate::Delivered);
        for status in [302, 400, 410] {
            assert_eq!(fate(status, 1, Duration::ZERO), Fate::GivenUp, "{status}");
        }
        assert!(matches!(fate(503, 1, Duration::ZERO), Fate::Again(pause) if !pause.is_zero()));
        assert_eq!(fate(503, schedule.tries, Duration::ZERO), Fate::GivenUp);
        assert_eq!(fate(503, 1, schedule.age), Fate::GivenUp);
    }
}

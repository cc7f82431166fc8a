//! What one caller may use: requests and tokens a minute, and money a period. Reserved before a request is begun,
//! settled when it has ended, so that many at once cannot use together what none of them could alone.
//!
//! A rate is a bucket that leaks (GCRA in effect): a limit of n allows n at once and n a minute from then on, and
//! never more than n × (1 + m) within m minutes. All numbers are whole; nothing is lost to rounding.

use corliss_types::{DurationMs, Timestamp};
use serde::{Deserialize, Serialize};

/// Milliseconds in a minute: what is used is counted in shares of this, so that what leaks in a millisecond is whole.
const MINUTE_MS: u64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// More than anybody's rate, and little enough for all sums to fit.
const RATE_MAX: u64 = 1_000_000_000_000;

/// The limits of a caller. One that is not given does not bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_max: Option<u32>,
    /// Money a period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// An amount of money for each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// In millionths of whatever unit prices are given in.
    pub micros: u64,
    /// For how long that is.
    pub period: Period,
}

/// A stretch of time with a budget of its own, by the calendar in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the next.
    Month,
    /// For ever.
    Ever,
}

/// What a caller has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Requests.
    pub requests: Leak,
    /// Tokens.
    pub tokens: Leak,
    /// When the period began that the following are of; 0 for one that never ends.
    pub period_start_ms: Timestamp,
    /// Money spent in it, in millionths.
    pub spent_micros: u64,
    /// Money that requests on their way may spend, in millionths.
    pub reserved_micros: u64,
}

/// A bucket that leaks what its rate allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leak {
    /// What was in it, times 60,000.
    level: u64,
    /// When it was.
    at_ms: Timestamp,
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// A minute.
    pub limit: u64,
    /// Now, rounded down.
    pub remaining: u64,
    /// From now until all of it is there again, if nothing more is used.
    pub reset: DurationMs,
}

/// What a request uses, or may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ask {
    /// Tokens.
    pub tokens: u64,
    /// Money, in millionths.
    pub micros: u64,
}

/// Why a request is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Too many requests; one is allowed again after `wait`.
    Requests {
        /// A minute.
        limit: u64,
        /// From now.
        wait: DurationMs,
    },
    /// Too many tokens; these are allowed after `wait`.
    Tokens {
        /// A minute.
        limit: u64,
        /// From now.
        wait: DurationMs,
    },
    /// More tokens than are ever allowed at once.
    TooManyTokens {
        /// A minute.
        limit: u64,
        /// Tokens of the request, its answer's limit included.
        asked: u64,
    },
    /// It may cost more than the budget has left.
    Budget {
        /// The budget.
        budget: Budget,
        /// What it has left, in millionths.
        left_micros: u64,
        /// What the request may cost, in millionths.
        asked_micros: u64,
        /// When the next period begins, if one does.
        until: Option<Timestamp>,
    },
}

impl Limits {
    /// The first thing wrong with it: the field, and what.
    ///
    /// # Errors
    /// If something is.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let rates = [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
        ];
        for (field, rate) in rates {
            if rate.is_some_and(|rate| !(1..=RATE_MAX).contains(&rate)) {
                return Err((field, format!("must lie between 1 and {RATE_MAX}")));
            }
        }
        if self.concurrent_max == Some(0) {
            return Err(("concurrent_max", "must be at least 1".to_owned()));
        }
        if self
            .budget
            .is_some_and(|budget| budget.micros > i64::MAX.unsigned_abs())
        {
            return Err(("budget.micros", "is too large".to_owned()));
        }
        Ok(())
    }

    /// Whether nothing but the number at once is limited, so that nothing has to be written down.
    #[must_use]
    pub const fn is_momentary(&self) -> bool {
        self.requests_per_minute.is_none() && self.tokens_per_minute.is_none() && self.budget.is_none()
    }

    /// What is left of the requests a minute, if they are limited.
    #[must_use]
    pub fn requests(&self, usage: &Usage, now: Timestamp) -> Option<Rate> {
        let limit = self.requests_per_minute?;
        Some(usage.requests.rate(limit, now))
    }

    /// What is left of the tokens a minute, if they are limited; what requests on their way may use is not left.
    #[must_use]
    pub fn tokens(&self, usage: &Usage, now: Timestamp) -> Option<Rate> {
        let limit = self.tokens_per_minute?;
        Some(usage.tokens.rate(limit, now))
    }

    /// Takes what a request may use out of what is left, or says why not and changes nothing.
    ///
    /// # Errors
    /// If a limit does not allow it.
    pub fn reserve(&self, usage: &mut Usage, ask: Ask, now: Timestamp) -> Result<(), Denied> {
        let mut after = *usage;
        after.turn(self.budget, now);
        if let Some(limit) = self.requests_per_minute {
            let wait = after.requests.add(limit, 1, now);
            wait.map_err(|wait| Denied::Requests { limit, wait })?;
        }
        if let Some(limit) = self.tokens_per_minute {
            if ask.tokens > limit {
                let asked = ask.tokens;
                return Err(Denied::TooManyTokens { limit, asked });
            }
            let wait = after.tokens.add(limit, ask.tokens, now);
            wait.map_err(|wait| Denied::Tokens { limit, wait })?;
        }
        if let Some(budget) = self.budget {
            let used = after.spent_micros.saturating_add(after.reserved_micros);
            let left_micros = budget.micros.saturating_sub(used);
            if ask.micros > left_micros || left_micros == 0 {
                return Err(Denied::Budget {
                    budget,
                    left_micros,
                    asked_micros: ask.micros,
                    until: budget.period.next(now),
                });
            }
        }
        after.reserved_micros = after.reserved_micros.saturating_add(ask.micros);
        *usage = after;
        Ok(())
    }

    /// Puts back what a request was reserved and did not use; one that used more leaves a debt.
    pub fn settle(&self, usage: &mut Usage, reserved: Ask, used: Ask, now: Timestamp) {
        usage.turn(self.budget, now);
        if let Some(limit) = self.tokens_per_minute {
            usage.tokens.correct(limit, reserved.tokens, used.tokens, now);
        }
        usage.reserved_micros = usage.reserved_micros.saturating_sub(reserved.micros);
        usage.spent_micros = usage.spent_micros.saturating_add(used.micros);
    }
}

impl Usage {
    /// A new period begins with nothing spent. What is reserved goes over into it: it will be spent then.
    fn turn(&mut self, budget: Option<Budget>, now: Timestamp) {
        let Some(budget) = budget else {
            return;
        };
        let start = budget.period.start(now);
        // A clock that was set back does not give an old period its money back.
        if start > self.period_start_ms {
            self.period_start_ms = start;
            self.spent_micros = 0;
        }
    }
}

impl Leak {
    /// How much of a limit a minute is used now, rounded up.
    #[must_use]
    pub fn used(&self, limit: u64, now: Timestamp) -> u64 {
        self.level_at(limit, now).div_ceil(MINUTE_MS)
    }

    fn rate(&self, limit: u64, now: Timestamp) -> Rate {
        let level = self.level_at(limit, now);
        Rate {
            limit,
            remaining: limit.saturating_sub(level.div_ceil(MINUTE_MS)),
            reset: DurationMs(level.div_ceil(limit.max(1))),
        }
    }

    fn level_at(&self, limit: u64, now: Timestamp) -> u64 {
        let leaked = limit.saturating_mul(now.since(self.at_ms).0);
        self.level.saturating_sub(leaked)
    }

    /// Adds, or says after how long it could.
    fn add(&mut self, limit: u64, count: u64, now: Timestamp) -> Result<(), DurationMs> {
        let level = self
            .level_at(limit, now)
            .saturating_add(count.saturating_mul(MINUTE_MS));
        let over = level.saturating_sub(limit.saturating_mul(MINUTE_MS));
        if over > 0 {
            return Err(DurationMs(over.div_ceil(limit.max(1))));
        }
        self.set(level, now);
        Ok(())
    }

    fn correct(&mut self, limit: u64, reserved: u64, used: u64, now: Timestamp) {
        let level = self
            .level_at(limit, now)
            .saturating_sub(reserved.saturating_mul(MINUTE_MS))
            .saturating_add(used.saturating_mul(MINUTE_MS));
        self.set(level, now);
    }

    fn set(&mut self, level: u64, now: Timestamp) {
        self.level = level;
        self.at_ms = self.at_ms.max(now);
    }
}

impl Period {
    /// When the period began that this moment is in; 0 for one that never ends.
    #[must_use]
    pub fn start(self, now: Timestamp) -> Timestamp {
        let day = now.as_millis().div_euclid(DAY_MS);
        let start = match self {
            Self::Day => day,
            Self::Month => day - i64::from(date(day).2) + 1,
            Self::Ever => 0,
        };
        Timestamp::from_millis(start * DAY_MS)
    }

    /// When the next one begins.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Option<Timestamp> {
        let start = self.start(now);
        let days = match self {
            Self::Day => 1,
            Self::Month => {
                let (year, month, _) = date(start.as_millis() / DAY_MS);
                i64::from(days_of(year, month))
            }
            Self::Ever => return None,
        };
        Some(Timestamp::from_millis(start.as_millis() + days * DAY_MS))
    }
}

/// Year, month and day of a count of days since 1970-01-01 in the proleptic Gregorian calendar (after Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
fn date(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u32::try_from(value).unwrap_or_default();
    (year, small(month), small(day))
}

fn days_of(year: i64, month: u32) -> u32 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-22 00:00 UTC.
    const NOW: Timestamp = Timestamp::from_millis(1_795_305_600_000);

    const ONE: Ask = Ask { tokens: 0, micros: 0 };

    fn money(micros: u64) -> Ask {
        Ask { tokens: 0, micros }
    }

    fn monthly(micros: u64) -> Limits {
        Limits {
            budget: Some(Budget {
                micros,
                period: Period::Month,
            }),
            ..Limits::default()
        }
    }

    #[test]
    fn as_many_at_once_as_a_minute_allows_and_then_one_by_one() {
        let limits = Limits {
            requests_per_minute: Some(30),
            ..Limits::default()
        };
        let mut usage = Usage::default();
        for _ in 0..30 {
            assert_eq!(limits.reserve(&mut usage, ONE, NOW), Ok(()));
        }
        let wait = DurationMs(2_000);
        let denied = Err(Denied::Requests { limit: 30, wait });
        assert_eq!(limits.reserve(&mut usage, ONE, NOW), denied);
        assert!(limits.reserve(&mut usage, ONE, NOW + DurationMs(1_999)).is_err());
        assert_eq!(limits.reserve(&mut usage, ONE, NOW + wait), Ok(()));
        assert!(limits.reserve(&mut usage, ONE, NOW + wait).is_err());
        assert_eq!(usage.requests.used(30, NOW + wait), 30);
        assert_eq!(usage.requests.used(30, NOW + DurationMs::from_secs(70)), 0);
    }

    #[test]
    fn what_is_left_grows_until_all_of_it_is_there() {
        let limits = Limits {
            requests_per_minute: Some(30),
            ..Limits::default()
        };
        let mut usage = Usage::default();
        let left = |usage: &Usage, now| {
            let rate = limits.requests(usage, now).unwrap();
            (rate.limit, rate.remaining, rate.reset.0)
        };
        assert_eq!(left(&usage, NOW), (30, 30, 0));
        for _ in 0..3 {
            limits.reserve(&mut usage, ONE, NOW).unwrap();
        }
        assert_eq!(left(&usage, NOW), (30, 27, 6_000));
        // One comes back in two seconds, and before that it is not there.
        assert_eq!(left(&usage, NOW + DurationMs(1_999)), (30, 27, 4_001));
        assert_eq!(left(&usage, NOW + DurationMs(2_000)), (30, 28, 4_000));
        assert_eq!(left(&usage, NOW + DurationMs(6_000)), (30, 30, 0));
        assert_eq!(limits.tokens(&usage, NOW), None);
    }

    #[test]
    fn tokens_that_were_not_used_are_given_back_and_debts_are_paid() {
        let limits = Limits {
            tokens_per_minute: Some(600),
            ..Limits::default()
        };
        let ask = |tokens| Ask { tokens, micros: 0 };
        let mut usage = Usage::default();
        assert_eq!(limits.reserve(&mut usage, ask(600), NOW), Ok(()));
        limits.settle(&mut usage, ask(600), ask(100), NOW);
        assert_eq!(usage.tokens.used(600, NOW), 100);
        assert_eq!(limits.reserve(&mut usage, ask(500), NOW), Ok(()));
        limits.settle(&mut usage, ask(500), ask(1_100), NOW);
        let wait = DurationMs::from_secs(61);
        assert_eq!(
            limits.reserve(&mut usage, ask(10), NOW),
            Err(Denied::Tokens { limit: 600, wait })
        );
        assert_eq!(
            limits.reserve(&mut usage, ask(601), NOW),
            Err(Denied::TooManyTokens {
                limit: 600,
                asked: 601
            })
        );
    }

    #[test]
    fn a_budget_is_for_a_month_and_what_is_on_its_way_counts() {
        let limits = monthly(100);
        let mut usage = Usage::default();
        assert_eq!(limits.reserve(&mut usage, money(60), NOW), Ok(()));
        let denied = limits.reserve(&mut usage, money(41), NOW).unwrap_err();
        let Denied::Budget {
            left_micros, until, ..
        } = denied
        else {
            panic!("{denied:?}");
        };
        // 2026-12-01.
        assert_eq!(
            (left_micros, until),
            (40, Some(Timestamp::from_millis(1_796_083_200_000)))
        );
        limits.settle(&mut usage, money(60), money(10), NOW);
        assert_eq!(limits.reserve(&mut usage, money(90), NOW), Ok(()));
        // Nothing is left, and what costs nothing is not begun either.
        assert!(limits.reserve(&mut usage, money(0), NOW).is_err());
        let december = until.unwrap();
        limits.settle(&mut usage, money(90), money(90), december);
        assert_eq!(
            (usage.spent_micros, usage.reserved_micros),
            (90, 0),
            "it is spent when it ends"
        );
        assert_eq!(limits.reserve(&mut usage, money(10), december), Ok(()));
    }

    #[test]
    fn months_have_their_days() {
        let at = |text: i64| Timestamp::from_millis(text);
        // 2024-02-29 12:00 and 2100-02-28 23:59:59.999.
        for (now, start, next) in [
            (1_709_208_000_000, 1_706_745_600_000, 1_709_251_200_000),
            (4_107_542_399_999, 4_105_123_200_000, 4_107_542_400_000),
        ] {
            assert_eq!(Period::Month.start(at(now)), at(start));
            assert_eq!(Period::Month.next(at(now)), Some(at(next)));
        }
        assert_eq!(Period::Day.next(NOW), Some(NOW + DurationMs(86_400_000)));
        assert_eq!((Period::Ever.start(NOW), Period::Ever.next(NOW)), (at(0), None));
    }

    #[test]
    fn what_nobody_can_mean_is_named() {
        let wrong = |limits: Limits| limits.check().unwrap_err().0;
        let none = Limits::default();
        assert_eq!(none.check(), Ok(()));
        assert_eq!(
            wrong(Limits {
                requests_per_minute: Some(0),
                ..none
            }),
            "requests_per_minute"
        );
        assert_eq!(
            wrong(Limits {
                tokens_per_minute: Some(u64::MAX),
                ..none
            }),
            "tokens_per_minute"
        );
        assert_eq!(
            wrong(Limits {
                concurrent_max: Some(0),
                ..none
            }),
            "concurrent_max"
        );
        assert_eq!(wrong(monthly(u64::MAX)), "budget.micros");
    }

    proptest! {
        /// Whatever comes in whatever order, no window sees more than it may, and no money is made or lost.
        #[test]
        fn never_more_than_allowed(
            limit in 1_u64..50,
            steps in prop::collection::vec((0_u64..3_000, 0_u64..60, 0_u64..60), 1..300),
        ) {
            let limits = Limits { requests_per_minute: Some(limit), ..monthly(1_000) };
            let (mut usage, mut now) = (Usage::default(), NOW);
            let (mut admitted, mut open, mut spent) = (Vec::new(), Vec::new(), 0);
            for (pause, asks, uses) in steps {
                now = now + DurationMs(pause);
                if limits.reserve(&mut usage, money(asks), now).is_ok() {
                    admitted.push(now);
                    open.push((asks, uses.min(asks)));
                }
                if open.len() > 3 {
                    let (reserved, used) = open.remove(0);
                    limits.settle(&mut usage, money(reserved), money(used), now);
                    spent += used;
                }
                let reserved: u64 = open.iter().map(|(reserved, _)| reserved).sum();
                prop_assert_eq!((usage.spent_micros, usage.reserved_micros), (spent, reserved));
                prop_assert!(spent + reserved <= 1_000);
            }
            for (index, from) in admitted.iter().enumerate() {
                for (count, to) in admitted[index..].iter().enumerate() {
                    let allowed = limit * (60_000 + to.since(*from).0);
                    prop_assert!((count as u64 + 1) * 60_000 <= allowed);
                }
            }
        }
    }
}

//! The parts that a time is told in: hours, days, weeks and months of the calendar, in UTC.

use std::str::FromStr;

use corliss_types::{civil_date, days_of};
use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 1 January 1970 was a Thursday; weeks begin on Mondays (ISO 8601).
const MONDAY_BEFORE: i64 = 3;

/// How long a part of a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            _ => Err(format!("'{text}' is none of hour, day, week, month")),
        }
    }
}

impl Period {
    /// The begin of the one that this moment lies in; both in milliseconds since 1970.
    pub(super) fn start_of(self, at_ms: i64) -> i64 {
        let days = at_ms.div_euclid(DAY_MS);
        match self {
            Self::Hour => at_ms - at_ms.rem_euclid(HOUR_MS),
            Self::Day => days * DAY_MS,
            Self::Week => (days - (days + MONDAY_BEFORE).rem_euclid(7)) * DAY_MS,
            Self::Month => month(days, 0),
        }
    }

    /// The end of the one that begins at `start_ms`.
    pub(super) fn end_of(self, start_ms: i64) -> i64 {
        match self {
            Self::Hour => start_ms + HOUR_MS,
            Self::Day => start_ms + DAY_MS,
            Self::Week => start_ms + 7 * DAY_MS,
            Self::Month => month(start_ms.div_euclid(DAY_MS), 1),
        }
    }
}

/// The begin of the month of this day, or of the one that follows so many later.
fn month(days: i64, later: i64) -> i64 {
    let (year, month, _) = civil_date(days);
    let months = i64::try_from(year * 12 + month - 1).unwrap_or(0) + later;
    let month = u8::try_from(months.rem_euclid(12) + 1).unwrap_or(1);
    days_of(months.div_euclid(12), month, 1).unwrap_or(days) * DAY_MS
}

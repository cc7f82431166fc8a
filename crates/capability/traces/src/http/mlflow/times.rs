//! Points in time and durations as protobuf's JSON writes them: RFC 3339, and seconds with an `s`.

use corliss_mlflow_wire::WireError;
use corliss_types::{Timestamp, civil_date};
use serde_json::Value;

const DAY_MS: i64 = 86_400_000;

/// A time, without a fraction where there is none.
pub(super) fn time(ms: i64) -> String {
    let text = Timestamp::from_millis(ms).rfc3339();
    text.strip_suffix(".000Z")
        .map_or(text.clone(), |whole| format!("{whole}Z"))
}

/// A duration, without a fraction where there is none.
pub(super) fn duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let (seconds, millis) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
    match millis {
        0 => format!("{sign}{seconds}s"),
        millis => format!("{sign}{seconds}.{millis:03}s"),
    }
}

/// Milliseconds of a time as sent.
pub(super) fn read_time(field: &str, value: &Value) -> Result<i64, WireError> {
    value
        .as_str()
        .and_then(parse_time)
        .ok_or_else(|| WireError::wrong_type(field, value))
}

/// Milliseconds of a duration as sent.
pub(super) fn read_duration(field: &str, value: &Value) -> Result<i64, WireError> {
    value
        .as_str()
        .and_then(parse_duration)
        .ok_or_else(|| WireError::wrong_type(field, value))
}

fn parse_duration(text: &str) -> Option<i64> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    Some(
        sign * digits(seconds)?
            .checked_mul(1000)?
            .checked_add(millis_of(fraction)?)?,
    )
}

/// Only digits: `parse` alone would take signs.
fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The first three digits of a fraction of a second.
fn millis_of(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    digits(fraction)?;
    let padded: String = fraction.chars().chain("00".chars()).take(3).collect();
    digits(&padded)
}

fn parse_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let (clock, offset_ms) = match rest.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (hours, minutes) = rest.get(at + 1..)?.split_once(':')?;
            let ms = (within(hours, 23)? * 60 + within(minutes, 59)?) * 60_000;
            (&rest[..at], if rest[at..].starts_with('-') { -ms } else { ms })
        }
    };
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    if year.len() != 4 {
        return None;
    }
    let days = days_of(digits(year)?, within(month, 12)?, within(day, 31)?)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    let seconds = (within(hour, 23)? * 60 + within(minute, 59)?) * 60 + within(second, 60)?;
    Some(days * DAY_MS + seconds * 1000 + millis_of(fraction)? - offset_ms)
}

/// A number of two digits that is no greater than this.
fn within(text: &str, most: i64) -> Option<i64> {
    digits(text).filter(|number| text.len() == 2 && *number <= most)
}

/// Days from 1 January 1970 to a date; none if there is no such date.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    // Counted from March, as in `civil_date`, whose inverse this is.
    let (shifted_year, shifted_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    (civil_date(days) == (year.into(), month.into(), day.into())).then_some(days)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_protobuf_writes() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T09:47:06.221Z", 1_795_340_826_221),
            ("2026-11-22T09:47:06.221999999Z", 1_795_340_826_221),
            ("2026-11-22T10:47:06.2+01:00", 1_795_340_826_200),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse_time(text), Some(ms), "{text}");
        }
        for bad in [
            "",
            "T",
            "2026-11-22",
            "2026-11-22T09:47Z",
            "2026-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T09:47:06",
            "2026-11-22T09:47:06.xZ",
            "26-11-22T09:47:06Z",
            "2026-11-22T09:47:06+1",
            "+026-11-22T09:47:06Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(time(1_795_340_826_000), "2026-11-22T09:47:06Z");
        assert_eq!(time(1_795_340_826_020), "2026-11-22T09:47:06.020Z");
    }

    #[test]
    fn durations_go_round() {
        for (text, ms) in [("0s", 0), ("0.091s", 91), ("12s", 12_000), ("-1.500s", -1500)] {
            assert_eq!((parse_duration(text), duration(ms).as_str()), (Some(ms), text));
        }
        assert_eq!(parse_duration("0.0915s"), Some(91));
        for bad in ["", "s", "1", "1.xs", "--1s", "9223372036854775807s", "1.s1s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_time_goes_round(ms in -62_135_596_800_000_i64..253_402_300_799_999) {
            prop_assert_eq!(parse_time(&time(ms)), Some(ms));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = (parse_time(&text), parse_duration(&text));
        }
    }
}

//! Days and times as the common calendar writes them.

use crate::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i128 = 146_097;
/// From 1 March of the year 0 to 1 January 1970.
const EPOCH_DAYS: i128 = 719_468;

/// Year, month and day of a day that is counted from 1 January 1970, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year.
#[must_use]
pub fn civil_date(days: i64) -> (i128, i128, i128) {
    let shifted = i128::from(days) + EPOCH_DAYS;
    let (era, day) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    // Leap days come every 4 years but for the last day of a century, unless it ends the era.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days, over and over.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + 400 * era;
    match month {
        0..=9 => (year, month + 3, day),
        _ => (year + 1, month - 9, day),
    }
}

/// The day of this date, counted from 1 January 1970; none if the calendar has no such day.
#[must_use]
pub fn days_of(year: i64, month: u8, day: u8) -> Option<i64> {
    let wanted = (i128::from(year), i128::from(month), i128::from(day));
    // Years are counted from March here as well.
    let (year, months) = match wanted.1 {
        3.. => (wanted.0, wanted.1 - 3),
        _ => (wanted.0 - 1, wanted.1 + 9),
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = 365 * year + year / 4 - year / 100 + (153 * months + 2) / 5 + wanted.2 - 1;
    let days = i64::try_from(ERA_DAYS * era + day - EPOCH_DAYS).ok()?;
    (civil_date(days) == wanted).then_some(days)
}

impl Timestamp {
    /// The begin of a day in UTC, which is written as in `2026-11-22`.
    #[must_use]
    pub fn of_date(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let days = days_of(year.into(), u8::try_from(month).ok()?, u8::try_from(day).ok()?)?;
        Some(Self::from_millis(days * DAY_MS))
    }

    /// A time in the form of RFC 3339, such as `2026-11-22T02:42:13.5Z` or `2026-11-22T02:42+01:00`; seconds may be left out.
    #[must_use]
    pub fn of_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', 't'])?;
        let day = Self::of_date(date)?;
        let zone = rest.find(['Z', 'z', '+', '-'])?;
        let (time, zone) = rest.split_at(zone);
        let offset_ms = match zone {
            "Z" | "z" => 0,
            _ => {
                let minutes = clock_ms(zone.get(1..)?)?;
                if zone.starts_with('-') { -minutes } else { minutes }
            }
        };
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let milli: i64 = format!("{fraction:0<3}")
            .get(..3)
            .filter(|_| is_number)?
            .parse()
            .ok()?;
        Some(Self::from_millis(
            day.as_millis() + clock_ms(time)? + milli - offset_ms,
        ))
    }

    /// In the form of RFC 3339, in UTC, to the millisecond: `2026-11-22T02:42:13.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (days, millis) = (
            self.as_millis().div_euclid(DAY_MS),
            self.as_millis().rem_euclid(DAY_MS),
        );
        let (year, month, day) = civil_date(days);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1_000 % 60, millis % 1_000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// `02:42` or `02:42:13` in milliseconds.
fn clock_ms(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let mut part = |below: i64| {
        let part = parts.next()?;
        let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>()
            .ok()
            .filter(|value| is_number && *value < below)
    };
    let (hours, minutes) = (part(24)?, part(60)?);
    let seconds = match text.len() {
        5 => 0,
        _ => part(60)?,
    };
    parts
        .next()
        .is_none()
        .then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let read = |text| Timestamp::of_rfc3339(text).map(Timestamp::rfc3339);
        let same = "2026-11-22T02:42:13.500Z";
        for text in [
            same,
            "2026-11-22t02:42:13.5z",
            "2026-11-22T03:42:13.5+01:00",
            "2026-11-21T22:42:13.5004-04:00",
        ] {
            assert_eq!(read(text).as_deref(), Some(same), "{text}");
        }
        assert_eq!(
            read("2026-11-22T02:42Z").as_deref(),
            Some("2026-11-22T02:42:00.000Z")
        );
        let wrong = [
            "2026-11-22",
            "2026-11-22T02:42",
            "2026-11-22T25:00Z",
            "2026-02-30T00:00Z",
            "2026-11-22T2:42Z",
            "2026-11-22T02:42:13.Z",
            "2026-11-22T02:42:13.é5Z",
            "2026-11-22T02:42:13:00Z",
            "T02:42Z",
            "2026-11-22T02:42+1",
        ];
        for text in wrong {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn dates_lead_back_to_their_days() {
        for days in -800_000..800_000 {
            let (year, month, day) = civil_date(days);
            let part = |part: i128| u8::try_from(part).unwrap_or(0);
            let year = i64::try_from(year).unwrap_or(0);
            assert_eq!(days_of(year, part(month), part(day)), Some(days));
        }
        for (year, month, day) in [
            (2026, 2, 29),
            (2100, 2, 29),
            (2026, 13, 1),
            (2026, 0, 1),
            (2026, 4, 31),
            (2026, 4, 0),
        ] {
            assert_eq!(days_of(year, month, day), None, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn a_date_is_the_begin_of_its_day() {
        let read = |text: &str| Timestamp::of_date(text).map(Timestamp::rfc3339);
        assert_eq!(read("2026-11-22").as_deref(), Some("2026-11-22T00:00:00.000Z"));
        assert_eq!(read("1970-01-01").as_deref(), Some("1970-01-01T00:00:00.000Z"));
        for text in [
            "",
            "2026-11",
            "2026-11-31",
            "26-11-22",
            "2026-1-2",
            "2026-11-22T00:00",
            "+026-11-22",
            "2026-99-99",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (1_614_265_330_500, "2021-02-25T15:02:10.500Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (4_107_456_000_000, "2100-02-28T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).rfc3339(), expected);
        }
    }
}

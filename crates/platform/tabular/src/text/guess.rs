//! Guesses what type a text has, and how a CSV file is written.

use std::sync::Arc;

use bytes::Bytes;

use super::records::CsvRecords;
use crate::TabularError;
use crate::source::RandomRead;

/// What a text may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    Null,
    Boolean,
    Integer,
    Number,
    Date,
    Time,
    Timestamp,
    String,
    /// Of JSON only, as are the next two.
    List,
    Struct,
    Mixed,
}

impl Guess {
    /// The guess for a text in CSV.
    ///
    /// A number with zeros in front (`007`) is text: postal codes and identifiers lose them as numbers.
    pub fn of_text(text: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(text) else {
            return Self::String;
        };
        match text.trim() {
            "" => Self::Null,
            "true" | "false" | "True" | "False" | "TRUE" | "FALSE" => Self::Boolean,
            text if is_integer(text) => Self::Integer,
            text if is_number(text) => Self::Number,
            text if is_date(text) => Self::Date,
            text if is_time(text) => Self::Time,
            text if is_timestamp(text) => Self::Timestamp,
            _ => Self::String,
        }
    }

    /// The type of a column that holds both, in a format whose values have types of their own or not.
    pub fn and(self, other: Self, typed: bool) -> Self {
        match (self, other) {
            (left, right) if left == right => left,
            (Self::Null, known) | (known, Self::Null) => known,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) if !typed => Self::Timestamp,
            _ if typed => Self::Mixed,
            _ => Self::String,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::String => "string",
            Self::List => "list",
            Self::Struct => "struct",
            Self::Mixed => "mixed",
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let bare = digits.len() == 1 || !digits.starts_with('0');
    !digits.is_empty() && digits.len() <= 38 && bare && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(digits, "nan" | "NaN" | "inf" | "Inf" | "infinity") {
        return true;
    }
    let padded = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let plain = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+'));
    plain && !padded && digits.len() <= 64 && digits.parse::<f64>().is_ok()
}

/// The number of so many digits at the front.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (head, rest) = text.split_at_checked(count)?;
    let plain = head.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| head.parse().ok().map(|number| (number, rest)))
        .flatten()
}

fn is_date(text: &str) -> bool {
    let parts = || {
        let (_, rest) = digits(text, 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
        Some((1..=12).contains(&month) && (1..=31).contains(&day) && rest.is_empty())
    };
    parts() == Some(true)
}

fn is_time(text: &str) -> bool {
    let parts = || {
        let (hour, rest) = digits(text, 2)?;
        let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
        if hour > 23 || minute > 59 {
            return None;
        }
        if rest.is_empty() {
            return Some(());
        }
        let (second, rest) = digits(rest.strip_prefix(':')?, 2)?;
        let fraction = match rest.strip_prefix(['.', ',']) {
            Some(fraction) => !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()),
            None => rest.is_empty(),
        };
        (second <= 60 && fraction).then_some(())
    };
    parts().is_some()
}

fn is_timestamp(text: &str) -> bool {
    let Some((day, rest)) = text.split_at_checked(10) else {
        return false;
    };
    let Some(clock) = rest.strip_prefix(['T', 't', ' ']) else {
        return false;
    };
    is_date(day) && is_time(without_zone(clock))
}

fn without_zone(clock: &str) -> &str {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return clock;
    }
    let Some(at) = clock.rfind(['+', '-']) else {
        return clock;
    };
    let zone = &clock[at + 1..];
    let short = zone.len() == 2 || zone.len() == 4;
    let plain =
        (short && zone.bytes().all(|byte| byte.is_ascii_digit())) || (zone.len() == 5 && is_time(zone));
    if plain { clock[..at].trim_end() } else { clock }
}

/// Bytes and records that a dialect is guessed from.
const SNIFF_BYTES: usize = 64 << 10;
const SNIFF_RECORDS: usize = 100;

/// The delimiter of comma, tab, semicolon and pipe that cuts most records into the same number of cells,
/// and into more of them when two are alike; comma if none cuts anything.
pub(super) fn delimiter_of(source: &Arc<dyn RandomRead>, start: u64) -> Result<u8, TabularError> {
    let sample = source.read_at(start, SNIFF_BYTES)?;
    let whole = start + sample.len() as u64 >= RandomRead::len(source.as_ref());
    let mut best = (0.0, 0, b',');
    for delimiter in *b",\t;|" {
        let mut counts = cell_counts(&sample, delimiter)?;
        if !whole {
            // The sample may end in the middle of a record.
            counts.pop();
        }
        let usual = counts.iter().copied().max_by_key(|count| {
            let alike = counts.iter().filter(|other| *other == count).count();
            (alike, *count)
        });
        let Some(usual) = usual.filter(|count| *count > 1) else {
            continue;
        };
        let alike = counts.iter().filter(|count| **count == usual).count();
        #[expect(clippy::cast_precision_loss, reason = "there are at most a hundred")]
        let share = alike as f64 / counts.len() as f64;
        if (share, usual) > (best.0, best.1) {
            best = (share, usual, delimiter);
        }
    }
    Ok(best.2)
}

fn cell_counts(sample: &Bytes, delimiter: u8) -> Result<Vec<usize>, TabularError> {
    let mut records = CsvRecords::new(Arc::new(sample.clone()), 0, delimiter);
    let mut counts = Vec::new();
    while counts.len() < SNIFF_RECORDS
        && let Some(cells) = records.next()?
    {
        counts.push(cells.len());
    }
    Ok(counts)
}

/// Whether a first record holds names: none of its cells is empty, a number, a date, a time or a truth
/// value. A file of nothing but text is taken to begin with names, as most do.
pub(super) fn looks_like_names(cells: &[Bytes]) -> bool {
    cells.iter().all(|cell| Guess::of_text(cell) == Guess::String)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_for_what_they_are() {
        let cases = [
            ("", Guess::Null),
            ("  ", Guess::Null),
            ("-12", Guess::Integer),
            ("0", Guess::Integer),
            ("007", Guess::String),
            ("0.5", Guess::Number),
            ("1e-3", Guess::Number),
            ("NaN", Guess::Number),
            ("00.5", Guess::String),
            ("e", Guess::String),
            ("-", Guess::String),
            ("True", Guess::Boolean),
            ("2024-02-29", Guess::Date),
            ("2024-13-01", Guess::String),
            ("12:30", Guess::Time),
            ("25:30", Guess::String),
            ("2024-02-29T12:30:00.5Z", Guess::Timestamp),
            ("2024-02-29 12:30:00+02:00", Guess::Timestamp),
            ("2024-02-29 12:30:00 +0200", Guess::Timestamp),
            ("2024-02-29 noon", Guess::String),
            ("größe", Guess::String),
        ];
        for (text, guess) in cases {
            assert_eq!(Guess::of_text(text.as_bytes()), guess, "{text}");
        }
    }

    #[test]
    fn types_of_a_column_meet_in_the_least_that_holds_both() {
        assert_eq!(Guess::Integer.and(Guess::Number, false), Guess::Number);
        assert_eq!(Guess::Integer.and(Guess::Null, false), Guess::Integer);
        assert_eq!(Guess::Integer.and(Guess::Date, false), Guess::String);
        assert_eq!(Guess::Integer.and(Guess::List, true), Guess::Mixed);
    }

    #[test]
    fn the_delimiter_is_the_one_that_cuts_evenly() {
        let of = |text: &'static str| {
            let source: Arc<dyn RandomRead> = Arc::new(Bytes::from_static(text.as_bytes()));
            char::from(delimiter_of(&source, 0).unwrap())
        };
        assert_eq!(of("a,b\n1,2\n"), ',');
        assert_eq!(of("a\tb\n\"x,y\"\tz,\n1\t2\n"), '\t');
        assert_eq!(of("a;b\n1,5;2,5\n1;2\n"), ';');
        assert_eq!(of("a|b|c\n1|2|3\n"), '|');
        assert_eq!(of("one\ntwo\n"), ',');
        assert_eq!(of("\"a;b;c\",d\n\"e;f;g\",h\n"), ',');
        assert_eq!(of(""), ',');
    }
}

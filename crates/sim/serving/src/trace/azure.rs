//! Azure's LLM inference traces (Splitwise, ISCA 2024), as CSV: with the columns that Azure gives them, or
//! with relative times as the simulator Vidur uses them. The columns may be in any order, others are ignored.

use super::{Collector, Line, Trace};
use corliss_sim_trace::SimError;

/// Names of the columns in one of the two forms.
struct Columns {
    arrival: &'static str,
    prompt: &'static str,
    output: &'static str,
}

const RELATIVE: Columns = Columns {
    arrival: "arrived_at",
    prompt: "num_prefill_tokens",
    output: "num_decode_tokens",
};
const ORIGINAL: Columns = Columns {
    arrival: "TIMESTAMP",
    prompt: "ContextTokens",
    output: "GeneratedTokens",
};

pub(super) fn read(text: &str) -> Result<Trace, SimError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = (1_u64..).zip(text.lines());
    let header = lines.next().map_or("", |(_, line)| line);
    if header.trim().is_empty() {
        return Err(SimError::line(
            1,
            "the first line, which names the columns, is empty",
            format!("begin the file with {}", form(&RELATIVE)),
        ));
    }
    let names: Vec<&str> = cells(header).collect();
    let original = names.contains(&ORIGINAL.arrival);
    let columns = if original { &ORIGINAL } else { &RELATIVE };
    let place = |name: &'static str| {
        names.iter().position(|other| *other == name).ok_or_else(|| {
            let fix = format!("name the columns {}, or {}", form(&RELATIVE), form(&ORIGINAL));
            SimError::value(1, name, format!("there is no column {name}"), fix)
        })
    };
    let (arrival, prompt, output) = (
        place(columns.arrival)?,
        place(columns.prompt)?,
        place(columns.output)?,
    );
    let mut collector = Collector {
        trace: Trace::new(0),
        arrival: columns.arrival,
        prompt: columns.prompt,
        output: columns.output,
    };
    let mut first_s = None;
    let mut last_line = 1;
    for (number, line) in lines {
        last_line = number;
        if line.trim().is_empty() {
            continue;
        }
        let row: Vec<&str> = cells(line).collect();
        let cell = |at: usize, name: &'static str| {
            row.get(at).copied().ok_or_else(|| {
                let problem = format!("there is nothing in column {name}: the line ends before it");
                SimError::value(number, name, problem, "complete the line, or remove it")
            })
        };
        let text = cell(arrival, columns.arrival)?;
        let arrival_s = if original { instant(text) } else { seconds(text) };
        let arrival_s = arrival_s.ok_or_else(|| {
            let expected = if original {
                "give it as 2023-11-16 18:15:46.6805900"
            } else {
                "give seconds, such as 4.314579"
            };
            let problem = format!("{} is '{}', which is no time", columns.arrival, shortened(text));
            SimError::value(number, columns.arrival, problem, expected)
        })?;
        let line = Line {
            number,
            arrival_s,
            prompt: count(number, columns.prompt, cell(prompt, columns.prompt)?)?,
            output: count(number, columns.output, cell(output, columns.output)?)?,
            blocks: &[],
        };
        collector.add(&line, *first_s.get_or_insert(arrival_s))?;
    }
    collector.finish(last_line)
}

fn form(columns: &Columns) -> String {
    format!("{},{},{}", columns.arrival, columns.prompt, columns.output)
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"'))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Seconds after some start; not negative.
fn seconds(text: &str) -> Option<f64> {
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
}

/// A number of tokens; some tools write `374.0`.
fn count(line: u64, field: &'static str, text: &str) -> Result<i128, SimError> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    whole.parse().map_err(|_| {
        let problem = format!("{field} is '{}', which is no whole number", shortened(text));
        SimError::value(line, field, problem, "give the number of tokens, such as 374")
    })
}

/// Seconds since 1970 of a `2023-11-16 18:15:46.6805900`, perhaps with `T` in between, perhaps with `Z` or
/// an offset such as `+00:00` at its end.
fn instant(text: &str) -> Option<f64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let in_range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let (time, offset_s) = match time.find(['+', '-', 'Z']) {
        Some(at) => (&time[..at], offset(&time[at..])?),
        None => (time, 0),
    };
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (
        parts.next()?.parse::<u32>().ok()?,
        parts.next()?.parse::<u32>().ok()?,
    );
    let second = seconds(parts.next()?)?;
    if !in_range || hour > 23 || minute > 59 || second >= 61.0 {
        return None;
    }
    let whole = days(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60) - offset_s;
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of some thousand years are exact"
    )]
    let whole = whole as f64;
    Some(whole + second)
}

/// Seconds east of Greenwich of `Z` or `+01:30`.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

/// Days since 1970 of a date: years begin in March, so that a leap day is a year's last.
fn days(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    i64::from(365 * year + year / 4 - year / 100 + year / 400 + of_year) - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_become_seconds() {
        assert_eq!(instant("1970-01-01 00:00:00"), Some(0.0));
        assert_eq!(instant("2000-02-29T12:00:00.5Z"), Some(951_825_600.5));
        assert_eq!(
            instant("2024-03-01 01:00:00+01:00"),
            instant("2024-03-01 00:00:00")
        );
        for bad in [
            "",
            "2024-03-01",
            "2024-13-01 00:00:00",
            "2024-03-01 24:00:00",
            "a b",
            "2024-03-01 1:2:3+x",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}

//! Sizes, times and numbers for people, in the console's words: `ui/src/lib/format.ts` is the other half.

use corliss_diagnostics::counted;
use corliss_types::{Resources, amount};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A whole number of units, rounded to the nearest.
const fn rounded(value: u64, unit: u64) -> u64 {
    value.saturating_add(unit / 2) / unit
}

/// Bytes in binary units with three significant digits: `512 B`, `1.5 KiB`, `24 GiB`
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    format!("{} {}", trim_zeros(format!("{value:.digits$}")), UNITS[unit])
}

fn trim_zeros(text: String) -> String {
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// A span in at most two units: `350 ms`, `4.2 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`
#[must_use]
pub fn duration(ms: u64) -> String {
    let (seconds, minutes, hours) = (rounded(ms, SECOND), rounded(ms, MINUTE), rounded(ms, HOUR));
    match ms {
        0..SECOND => format!("{ms} ms"),
        // 59.95 s and more would round to "60.0 s".
        SECOND..59_950 => {
            let tenths = rounded(ms, 100);
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ if seconds < 3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ if minutes < 24 * 60 => format!("{} h {:02} m", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The milliseconds from one moment to a later one; 0 if it is earlier.
fn between(from_ms: i64, to_ms: i64) -> u64 {
    u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0)
}

/// In one unit: `40 s`, `5 min`, `3 h`, `2 d`
fn distance(ms: u64) -> String {
    match ms {
        0..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => format!("{} min", ms / MINUTE),
        HOUR..DAY => format!("{} h", ms / HOUR),
        _ => format!("{} d", ms / DAY),
    }
}

/// `just now`, `40 s ago`, `5 min ago`, `3 h ago`, `2 d ago`
#[must_use]
pub fn ago(then_ms: i64) -> String {
    match between(then_ms, now_ms()) {
        0..5000 => "just now".to_owned(),
        ms => format!("{} ago", distance(ms)),
    }
}

/// `in 3 d`, or `expired`
#[must_use]
pub fn until(then_ms: i64) -> String {
    match between(now_ms(), then_ms) {
        0 => "expired".to_owned(),
        ms => format!("in {}", distance(ms)),
    }
}

/// How long something took, or has taken until now; `-` before it starts.
#[must_use]
pub fn span(started_ms: Option<i64>, ended_ms: Option<i64>) -> String {
    started_ms.map_or_else(
        || "-".to_owned(),
        |start| duration(between(start, ended_ms.unwrap_or_else(now_ms))),
    )
}

/// `2,097,152`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 worker`, `2 workers`
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    counted(count, noun, &format!("{noun}s"))
}

/// `1 branch`, `2 branches`
#[must_use]
pub fn plural_of(count: u64, one: &str, many: &str) -> String {
    counted(count, one, many)
}

/// `1 CPU, 2 GiB` or `4 CPUs, 16 GiB, 1 accelerator`
#[must_use]
pub fn resources(resources: &Resources) -> String {
    let mut parts = Vec::new();
    if resources.cpu_milli > 0 {
        parts.push(amount::cpus_in_words(resources.cpu_milli));
    }
    if resources.memory_bytes > 0 {
        parts.push(bytes(resources.memory_bytes));
    }
    if resources.accelerators > 0 {
        parts.push(plural(u64::from(resources.accelerators), "accelerator"));
    }
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    parts.join(", ")
}

/// A metric to four significant digits; very small and very large ones in exponent form.
#[must_use]
pub fn metric(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || value == 0.0 {
        return format!("{}", value + 0.0);
    }
    if !(1e-4..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let whole_digits = match size {
        ..1e-3 => -3,
        1e-3..1e-2 => -2,
        1e-2..0.1 => -1,
        0.1..1.0 => 0,
        1.0..10.0 => 1,
        10.0..100.0 => 2,
        100.0..1000.0 => 3,
        _ => 4_i32,
    };
    let digits = usize::try_from(4 - whole_digits).unwrap_or(0);
    trim_zeros(format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_in_the_console() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3 GiB");
        assert_eq!(bytes(25_276_502_016), "23.5 GiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1 MiB");
    }

    #[test]
    fn durations_are_rounded_not_cut() {
        assert_eq!(duration(350), "350 ms");
        assert_eq!(duration(4_260), "4.3 s");
        assert_eq!(duration(59_949), "59.9 s");
        assert_eq!(duration(59_960), "1 m 00 s");
        assert_eq!(duration(184_700), "3 m 05 s");
        assert_eq!(duration(3_599_600), "1 h 00 m");
        assert_eq!(duration(76 * HOUR), "3 d 4 h");
    }

    #[test]
    fn metrics_have_four_digits() {
        assert_eq!(metric(0.987_654), "0.9877");
        assert_eq!(metric(0.012_346), "0.01235");
        assert_eq!(metric(12.5), "12.5");
        assert_eq!(metric(200.0), "200");
        assert_eq!(metric(1.5e-7), "1.50e-7");
        assert_eq!(metric(0.0), "0");
    }

    #[test]
    fn one_of_a_thing_is_not_many() {
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(plural(2, "file"), "2 files");
    }
}

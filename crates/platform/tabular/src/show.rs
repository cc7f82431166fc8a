//! Values as text for people, cut at a number of characters while it is made: a value may be 100 MB.

use std::fmt::Write as _;

use corliss_types::civil_date;

use crate::limits::CELL_CHARS;
use crate::model::Cell;
use crate::value::Value;

/// Text that takes so many characters and then no more.
struct Cut {
    text: String,
    left: usize,
    cut: bool,
}

impl Cut {
    fn push(&mut self, text: &str) {
        for character in text.chars() {
            if self.left == 0 {
                self.cut = true;
                return;
            }
            self.left -= 1;
            self.text.push(character);
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        // No more than this can fit, since a character has at most four bytes; a cut in the middle of one
        // shows as a replacement character that is cut off as well.
        let most = self.left.saturating_mul(4).saturating_add(4);
        self.push(&String::from_utf8_lossy(&bytes[..bytes.len().min(most)]));
    }

    fn full(&self) -> bool {
        self.cut
    }
}

impl Value {
    /// Its text. Within a list or struct, text stands in quotes.
    pub fn cell(&self) -> Cell {
        if matches!(self, Self::Null) {
            return Cell {
                text: None,
                cut: false,
            };
        }
        let mut out = Cut {
            text: String::new(),
            left: CELL_CHARS,
            cut: false,
        };
        show(self, &mut out, false);
        Cell {
            text: Some(out.text),
            cut: out.cut,
        }
    }
}

fn show(value: &Value, out: &mut Cut, within: bool) {
    match value {
        Value::Null => out.push("null"),
        Value::Bool(value) => out.push(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push(&value.to_string()),
        #[expect(clippy::cast_possible_truncation, reason = "it came from 32 bits")]
        Value::Float { value, single: true } => out.push(&format!("{:?}", *value as f32)),
        Value::Float { value, .. } => out.push(&format!("{value:?}")),
        Value::Decimal { unscaled, scale } => out.push(&decimal(*unscaled, *scale)),
        Value::Text(bytes) if within => quoted(bytes, out),
        Value::Text(bytes) => out.push_bytes(bytes),
        Value::Binary(bytes) => {
            out.push("0x");
            for byte in bytes.iter().take(out.left) {
                out.push(&format!("{byte:02x}"));
            }
        }
        Value::Uuid(bytes) => out.push(&uuid(bytes)),
        Value::Date(days) => out.push(&date(*days)),
        Value::Time(nanos) => out.push(&time_of_day(*nanos)),
        Value::Timestamp { nanos, utc } => out.push(&timestamp(*nanos, *utc)),
        Value::List(items) => between(out, "[", "]", items, |item, out| show(item, out, true)),
        Value::Struct(members) => between(out, "{", "}", members, |(name, value), out| {
            quoted(name.as_bytes(), out);
            out.push(": ");
            show(value, out, true);
        }),
        Value::Map(entries) => between(out, "{", "}", entries, |(key, value), out| {
            show(key, out, true);
            out.push(": ");
            show(value, out, true);
        }),
    }
}

fn between<T>(out: &mut Cut, open: &str, close: &str, items: &[T], mut each: impl FnMut(&T, &mut Cut)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if out.full() {
            return;
        }
        if index > 0 {
            out.push(", ");
        }
        each(item, out);
    }
    out.push(close);
}

fn quoted(bytes: &[u8], out: &mut Cut) {
    let most = out.left.saturating_mul(4).saturating_add(4);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(most)]);
    // A text always has a form in JSON.
    out.push(&serde_json::to_string(&text).unwrap_or_default());
}

fn decimal(unscaled: i128, scale: u32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = scale as usize;
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;

fn timestamp(nanos: i128, utc: bool) -> String {
    let days = i64::try_from(nanos.div_euclid(DAY)).unwrap_or(i64::MAX / 2);
    let zone = if utc { "Z" } else { "" };
    format!("{}T{}{zone}", date(days), time_of_day(nanos.rem_euclid(DAY)))
}

fn time_of_day(nanos: i128) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let rest = nanos.rem_euclid(1_000_000_000);
    let clock = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    match rest {
        0 => clock,
        rest if rest % 1_000_000 == 0 => format!("{clock}.{:03}", rest / 1_000_000),
        rest if rest % 1_000 == 0 => format!("{clock}.{:06}", rest / 1_000),
        rest => format!("{clock}.{rest:09}"),
    }
}

fn date(days: i64) -> String {
    let (year, month, day) = civil_date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn text(value: &Value) -> String {
        value.cell().text.unwrap()
    }

    #[test]
    fn times_are_shown_as_iso_8601() {
        assert_eq!(text(&Value::Date(0)), "1970-01-01");
        assert_eq!(text(&Value::Date(-1)), "1969-12-31");
        assert_eq!(text(&Value::Date(19_782)), "2024-02-29");
        assert_eq!(text(&Value::Date(-719_162)), "0001-01-01");
        let nanos = 1_709_210_096_123_456_000;
        assert_eq!(
            text(&Value::Timestamp { nanos, utc: true }),
            "2024-02-29T12:34:56.123456Z"
        );
        assert_eq!(
            text(&Value::Timestamp {
                nanos: -1,
                utc: false
            }),
            "1969-12-31T23:59:59.999999999"
        );
        assert_eq!(text(&Value::Time(1_500_000_000)), "00:00:01.500");
    }

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(
            text(&Value::Float {
                value: 1.0,
                single: false
            }),
            "1.0"
        );
        assert_eq!(
            text(&Value::Float {
                value: f64::from(0.1_f32),
                single: true
            }),
            "0.1"
        );
        assert_eq!(
            text(&Value::Decimal {
                unscaled: -5,
                scale: 3
            }),
            "-0.005"
        );
        assert_eq!(
            text(&Value::Decimal {
                unscaled: 1234,
                scale: 2
            }),
            "12.34"
        );
        assert_eq!(
            text(&Value::Decimal {
                unscaled: 7,
                scale: 0
            }),
            "7"
        );
    }

    #[test]
    fn long_values_are_cut_and_told() {
        let long = Value::Text(Bytes::from("ä".repeat(CELL_CHARS + 1)).into());
        let cell = long.cell();
        assert!(cell.cut);
        assert_eq!(cell.text.unwrap(), "ä".repeat(CELL_CHARS));
        let exact = Value::Text(Bytes::from("ä".repeat(CELL_CHARS)).into()).cell();
        assert!(!exact.cut);
        assert!(Value::List(vec![Value::Int(7); 1_000_000]).cell().cut);
        assert!(Value::Binary(Bytes::from(vec![1; 1_000_000]).into()).cell().cut);
    }

    #[test]
    fn what_is_nested_looks_like_json() {
        let value = Value::Struct(vec![
            (
                "a".into(),
                Value::List(vec![Value::Null, Value::Text(Bytes::from_static(b"x\"y").into())]),
            ),
            ("b".into(), Value::Bool(true)),
        ]);
        assert_eq!(text(&value), r#"{"a": [null, "x\"y"], "b": true}"#);
    }
}

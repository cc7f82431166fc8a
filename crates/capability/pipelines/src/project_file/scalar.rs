//! Scalars as people write them: `20s`, `2GiB`, `0.5` CPUs, names.

/// What an unquoted scalar is under YAML's core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
}

impl Kind {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "text",
        }
    }
}

pub(super) fn kind_of(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Kind::Boolean,
        _ => {}
    }
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = matches!(body, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
        || body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && body.ends_with(|c: char| c.is_ascii_digit() || c == '.')
            && body.parse::<f64>().is_ok()
        || body
            .strip_prefix("0x")
            .is_some_and(|hex| u64::from_str_radix(hex, 16).is_ok())
        || body
            .strip_prefix("0o")
            .is_some_and(|octal| u64::from_str_radix(octal, 8).is_ok());
    if is_number { Kind::Number } else { Kind::Text }
}

/// A duration in milliseconds: a whole number and one unit of ms, s, m, h, d.
///
/// # Errors
/// It is none, as a sentence.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => {
            return Err(format!(
                "'{text}' has no unit: write a duration such as 20s, 5m or 2h"
            ));
        }
        _ => return Err(format!("'{text}' is not a duration such as 20s, 5m or 2h")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("'{text}' is not a duration such as 20s, 5m or 2h"))?;
    match number.checked_mul(factor) {
        Some(0) => Err("a duration must be longer than zero".to_owned()),
        Some(ms) if ms <= 366 * 86_400_000 => Ok(ms),
        _ => Err(format!("'{text}' is longer than a year")),
    }
}

/// Bytes: a number and one unit of KiB, MiB, GiB, TiB (powers of 1024) or kB, MB, GB, TB (powers of 1000).
pub(super) fn memory_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not an amount of memory such as 512MiB or 2GiB");
    let (number, unit) = split_unit(text);
    let factor: u64 = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "" => {
            return Err(format!(
                "'{text}' has no unit: write memory such as 512MiB or 2GiB"
            ));
        }
        _ => return Err(wrong()),
    };
    let thousandths = thousandths(number).ok_or_else(wrong)?;
    let bytes = u128::from(thousandths) * u128::from(factor) / 1000;
    match u64::try_from(bytes) {
        Ok(0) => Err("memory must be more than zero".to_owned()),
        Ok(bytes) if bytes <= 1 << 50 => Ok(bytes),
        _ => Err(format!("'{text}' is more than 1 PiB")),
    }
}

/// Thousandths of a CPU: `1` or `0.5`, at most three decimals.
pub(super) fn cpu_milli(text: &str) -> Result<u64, String> {
    match thousandths(text) {
        Some(0) => Err("cpus must be more than zero".to_owned()),
        Some(milli) if milli <= 100_000_000 => Ok(milli),
        _ => Err(format!("'{text}' is not a number of CPUs such as 1 or 0.5")),
    }
}

/// Thousandths of an accelerator: `2` or `0.5`, at most three decimals.
pub(super) fn accelerator_milli(text: &str) -> Result<u64, String> {
    thousandths(text)
        .ok_or_else(|| format!("'{text}' is not a number of accelerators such as 2, or 0.5 of one"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A decimal number in exact thousandths; no sign, no exponent, at most three decimals.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 3 || !digits(whole) || !digits(decimals) || text.ends_with('.') {
        return None;
    }
    let fraction: u64 = format!("{decimals:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(fraction)
}

/// Names of steps, data and outputs. No dots: `step.output` must read one way; no path parts ever.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// What [`is_name`] accepts, for messages.
pub(super) const NAME_RULE: &str =
    "a name has letters, digits, '-' and '_', starts with a letter or digit and has at most 63 characters";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_are_exact() {
        assert_eq!(duration_ms("20s"), Ok(20_000));
        assert_eq!(duration_ms("5m"), Ok(300_000));
        assert_eq!(duration_ms("250ms"), Ok(250));
        for bad in [
            "20",
            "s",
            "0s",
            "1.5h",
            "-1s",
            "400d",
            "99999999999999999999h",
            "5 minutes",
        ] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_knows_both_families_of_units() {
        assert_eq!(memory_bytes("2GiB"), Ok(2 << 30));
        assert_eq!(memory_bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(memory_bytes("2 GB"), Ok(2_000_000_000));
        for bad in ["2", "2G", "GiB", "-1GiB", "0GiB", "9999999TiB", "1.0001GiB"] {
            assert!(memory_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cpus_are_exact_thousandths() {
        assert_eq!(cpu_milli("1"), Ok(1000));
        assert_eq!(cpu_milli("0.5"), Ok(500));
        assert_eq!(cpu_milli("2.125"), Ok(2125));
        for bad in ["0", "0.0001", "-1", "1e3", "two", "1.", ".5", ""] {
            assert!(cpu_milli(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_scalars_have_the_core_schemas_kinds() {
        for number in ["1", "-1", "0.5", "1e3", "0x1f", "+7", ".inf"] {
            assert_eq!(kind_of(number), Kind::Number, "{number}");
        }
        for text in ["20s", "2GiB", "infinity", "nan", "python", "1.2.3", "-"] {
            assert_eq!(kind_of(text), Kind::Text, "{text}");
        }
        assert_eq!(kind_of("~"), Kind::Null);
        assert_eq!(kind_of("true"), Kind::Boolean);
    }
}

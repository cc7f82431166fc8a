//! Amounts of money: decimals for people, whole millionths for the server.

/// Digits after the point that an amount may have.
const DIGITS: usize = 6;

/// An amount as somebody types it, in millionths.
///
/// # Errors
/// If it is none.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("not an amount such as 10 or 0.15, with at most {DIGITS} digits after the point");
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + rest.len() == 0 || rest.len() > DIGITS || !is_digits(whole) || !is_digits(rest) {
        return Err(wrong());
    }
    let digits = format!("{whole}{rest:0<DIGITS$}");
    digits.parse().map_err(|_| "more than anybody has".to_owned())
}

/// An amount of millionths as people read it.
#[must_use]
pub fn show(micros: u64) -> String {
    let rest = format!("{:06}", micros % 1_000_000);
    format!("{}.{:0<2}", micros / 1_000_000, rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let there_and_back = |text: &str| show(parse(text).unwrap());
        assert_eq!(
            parse("0.1").unwrap() + parse("0.2").unwrap(),
            parse("0.3").unwrap()
        );
        assert_eq!(
            ["10", "0.15", ".5", "7.", "0.000001", "12.345600"].map(there_and_back),
            ["10.00", "0.15", "0.50", "7.00", "0.000001", "12.3456"]
        );
        for wrong in ["", ".", "-1", "1e3", "0.0000001", "1,5", "99999999999999999999"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

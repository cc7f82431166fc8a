//! Values with bounds: one that is out of them is refused with them, in the units of whoever types it.
//!
//! The bounds are the server's, so that it never has to refuse what is read here; tests hold them to its policies.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::endpoints::OrNone;

/// Engine processes of an endpoint.
pub(super) const REPLICAS: RangeInclusive<u32> = 1..=64;
/// Rows of a batch.
pub(super) const ROWS: RangeInclusive<u32> = 1..=4_096;
/// Copies of a model in a replica.
pub(super) const INSTANCES: RangeInclusive<u32> = 1..=64;
/// Shares of a release in percent.
pub(super) const PERCENT: RangeInclusive<u32> = 1..=100;
/// Requests before a version is judged.
pub(super) const JUDGED: RangeInclusive<u64> = 1..=1_000_000_000;
/// Replicas that a request is given to.
pub(super) const ATTEMPTS: RangeInclusive<u32> = 1..=8;
/// Further attempts in percent of the requests.
pub(super) const RETRIES: RangeInclusive<u32> = 0..=100;
/// How long a request may wait, in milliseconds.
pub(super) const WAIT_MS: RangeInclusive<u64> = 1..=600_000;
/// Requests at once.
pub(super) const AT_ONCE: RangeInclusive<u32> = 1..=u32::MAX;
/// Requests or tokens a minute.
pub(super) const RATE: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// The share of an address of a service.
pub(super) const WEIGHT: RangeInclusive<u32> = 1..=1_000;
/// Longest time of a release or of its steps, in milliseconds: thirty days.
const RELEASE_MAX_MS: u64 = 30 * 24 * 3_600_000;
/// Longest that a request may wait for its batch, in microseconds.
const DELAY_MAX_US: u64 = 10_000_000;
/// Everything, in hundredths of a percent.
const WHOLE_BP: u64 = 10_000;
/// Least and most times as long, in hundredths.
const RATIO: RangeInclusive<u64> = 100..=100_000;

/// A whole number of this range.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync,
{
    move |text| match text.parse::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) => Err(format!("must lie between {} and {}", range.start(), range.end())),
        Err(_) => Err(format!(
            "must be a whole number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// A whole number of this range, or `none`.
pub(super) fn whole_or_none(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<OrNone, String> + Clone + Send + Sync {
    let number = whole(range);
    move |text| match text {
        "none" => Ok(OrNone(None)),
        text => number(text)
            .map(|number| OrNone(Some(number)))
            .map_err(|problem| format!("{problem}, or none")),
    }
}

/// A time such as `60s`, in microseconds; nothing if it is none.
fn micros(text: &str) -> Option<u64> {
    let split = text.find(|char: char| !char.is_ascii_digit())?;
    let unit = match &text[split..] {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    text[..split].parse::<u64>().ok()?.checked_mul(unit)
}

/// How long a request may wait for its batch, in microseconds.
pub(super) fn delay(text: &str) -> Result<u64, String> {
    let time = micros(text).ok_or("not a time such as 2ms, 500us or 1s")?;
    if time > DELAY_MAX_US {
        return Err("must lie between 0s and 10s".to_owned());
    }
    Ok(time)
}

/// A time of a release, in milliseconds.
pub(super) fn release_time(text: &str) -> Result<u64, String> {
    let time = micros(text).ok_or("not a time such as 200ms, 60s, 10m or 2h")?;
    let ms = time / 1_000;
    if time.is_multiple_of(1_000) && (1..=RELEASE_MAX_MS).contains(&ms) {
        return Ok(ms);
    }
    Err("must be whole milliseconds from 1ms to 720h".to_owned())
}

/// A share with up to two decimals, in hundredths of a percent: `2%` and `2` are 200.
pub(super) fn share(text: &str) -> Result<u64, String> {
    match hundredths(text.strip_suffix('%').unwrap_or(text)) {
        Some(share @ ..=WHOLE_BP) => Ok(share),
        Some(_) => Err("must lie between 0% and 100%".to_owned()),
        None => Err("not a share with at most two decimals, such as 2% or 0.25%".to_owned()),
    }
}

/// How many times as long, with up to two decimals, in hundredths: `1.5` is 150.
pub(super) fn ratio(text: &str) -> Result<u64, String> {
    match hundredths(text) {
        Some(ratio) if RATIO.contains(&ratio) => Ok(ratio),
        Some(_) => Err("must lie between 1 and 1000".to_owned()),
        None => Err("not a number with at most two decimals, such as 1.5".to_owned()),
    }
}

fn hundredths(number: &str) -> Option<u64> {
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(rest) || rest.len() > 2 {
        return None;
    }
    let rest: u64 = format!("{rest:0<2}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use corliss_policy_serving::Routing;
    use corliss_policy_serving::limits::Limits;
    use corliss_policy_serving::release::ReleasePlan;
    use serde_json::{Value, json};

    use super::*;
    use crate::args::Cli;

    #[test]
    fn times_have_a_unit() {
        let times = ["200ms", "60s", "10m", "2h", "720h"].map(|text| release_time(text).unwrap());
        assert_eq!(times, [200, 60_000, 600_000, 7_200_000, RELEASE_MAX_MS]);
        let delays = ["2ms", "500us", "1s", "0ms"].map(|text| delay(text).unwrap());
        assert_eq!(delays, [2_000, 500, 1_000_000, 0]);
        for wrong in [
            "",
            "s",
            "60",
            "1.5s",
            "-1s",
            "2d",
            "99999999999999999999h",
            "18446744073709551615h",
        ] {
            assert!(release_time(wrong).is_err() && delay(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_and_ratios_have_two_decimals() {
        let shares = ["2%", "2", "1.5", "0.25%", "0"].map(|text| share(text).unwrap());
        assert_eq!(shares, [200, 200, 150, 25, 0]);
        for wrong in ["", "%", "1.234", "a", "1.", ".5", "-1", "+1"] {
            assert!(share(wrong).is_err() && ratio(wrong).is_err(), "{wrong}");
        }
        // Nobody means a hundred and fifty times as long.
        assert_eq!((ratio("1.5"), ratio("150%").is_err()), (Ok(150), true));
    }

    /// What is said of a value of a flag; nothing if it is taken.
    fn said(words: &str) -> Option<String> {
        let all = ["corliss", "endpoints"].into_iter().chain(words.split(' '));
        let words = all.map(|word| if word == "''" { "" } else { word });
        Cli::try_parse_from(words).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_out_of_bounds_names_the_flag_the_value_and_the_bounds() {
        for (flags, value, bounds) in [
            ("--max-error-rate", "200%", "between 0% and 100%"),
            ("--step-time", "0s", "from 1ms to 720h"),
            ("--max-p99", "721h", "from 1ms to 720h"),
            ("--max-p99-ratio", "0", "between 1 and 1000"),
            ("--steps", "''", "a whole number from 1 to 100"),
            ("--steps", "5,101", "between 1 and 100"),
            ("--percent", "0", "between 1 and 100"),
            ("--min-requests", "0", "between 1 and 1000000000"),
            ("--batch-max", "0", "between 1 and 4096"),
            ("--batch-prefer", "8,5000", "between 1 and 4096"),
            ("--batch-delay", "1h", "between 0s and 10s"),
            ("--instances", "65", "between 1 and 64"),
            ("--replicas", "0", "between 1 and 64"),
        ] {
            let said = said(&format!("deploy e --model m --release canary {flags} {value}")).unwrap();
            let value = value.trim_matches('\'');
            let value = value.rsplit(',').next().unwrap_or(value);
            let named = said.contains(flags) && said.contains(&format!("'{value}'"));
            assert!(named && said.contains(bounds), "{said}");
        }
        for (flag, value, bounds) in [
            ("--attempts", "0", "between 1 and 8"),
            ("--retry-budget", "101", "between 0 and 100"),
            ("--hedge-after-ms", "0", "between 1 and 600000, or none"),
            (
                "--concurrent-max",
                "x",
                "a whole number from 1 to 4294967295, or none",
            ),
        ] {
            let said = said(&format!("routing e {flag} {value}")).unwrap();
            assert!(said.contains(flag) && said.contains(bounds), "{said}");
        }
        assert_eq!(said("routing e --attempts 8 --timeout-ms none"), None);
    }

    /// Whether the policy takes both ends of a range and nothing beyond them.
    fn is_the_range(is_taken: impl Fn(u64) -> bool, range: RangeInclusive<u64>) -> bool {
        let (least, most) = range.into_inner();
        let below = least.checked_sub(1).is_some_and(&is_taken);
        !below && is_taken(least) && is_taken(most) && !is_taken(most + 1)
    }

    fn wide(range: RangeInclusive<u32>) -> RangeInclusive<u64> {
        u64::from(*range.start())..=u64::from(*range.end())
    }

    #[test]
    fn the_bounds_of_releases_are_the_policys() {
        let taken = |plan: Value| {
            let plan = serde_json::from_value::<ReleasePlan>(plan);
            plan.is_ok_and(|plan| plan.check().is_ok())
        };
        let member = |strategy: &'static str, member: &'static str| {
            move |value: u64| taken(json!({ "strategy": strategy, member: value }))
        };
        let objective = |member: &'static str| {
            move |value: u64| taken(json!({ "strategy": "ab", "objectives": { member: value } }))
        };
        let step = |percent: u64| taken(json!({ "strategy": "canary", "steps": [percent] }));
        assert!(is_the_range(step, wide(PERCENT)));
        assert!(is_the_range(member("shadow", "percent"), wide(PERCENT)));
        assert!(is_the_range(member("canary", "step_ms"), 1..=RELEASE_MAX_MS));
        assert!(is_the_range(member("blue_green", "keep_ms"), 1..=RELEASE_MAX_MS));
        assert!(is_the_range(member("canary", "min_requests"), JUDGED));
        assert!(is_the_range(objective("max_p99_ms"), 1..=RELEASE_MAX_MS));
        assert!(is_the_range(
            objective("max_first_token_p99_ms"),
            1..=RELEASE_MAX_MS
        ));
        assert!(is_the_range(objective("max_error_bp"), 0..=WHOLE_BP));
        assert!(is_the_range(objective("max_p99_ratio_percent"), RATIO));
    }

    #[test]
    fn the_bounds_of_routing_and_limits_are_the_policys() {
        let routing = |settings: Value| {
            let routing = serde_json::from_value::<Routing>(settings);
            routing.is_ok_and(|routing| routing.check("e").is_ok())
        };
        let retry = |member: &'static str| move |count: u64| routing(json!({ "retry": { member: count } }));
        assert!(is_the_range(retry("attempts"), wide(ATTEMPTS)));
        assert!(is_the_range(retry("budget_percent"), wide(RETRIES)));
        for member in ["hedge_after_ms", "attempt_timeout_ms", "timeout_ms"] {
            let time = |ms: u64| routing(json!({ member: ms }));
            assert!(is_the_range(time, WAIT_MS), "{member}");
        }
        let limit = |member: &'static str| {
            move |value: u64| {
                let limits = serde_json::from_value::<Limits>(json!({ member: value }));
                limits.is_ok_and(|limits| limits.check().is_ok())
            }
        };
        assert!(is_the_range(limit("requests_per_minute"), RATE));
        assert!(is_the_range(limit("tokens_per_minute"), RATE));
        assert!(is_the_range(limit("concurrent_max"), wide(AT_ONCE)));
    }
}

//! How a version gets out, as `endpoints deploy` is told, and what is said about it while it does.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::BatchingArgs;
use super::some_text;

/// `corliss endpoints deploy`
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The endpoint's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// NAME@ALIAS or NAME/VERSION
    #[arg(long, value_parser = some_text())]
    pub model: String,
    /// How many engine processes [default: as many as it has; a new endpoint has 1]
    #[arg(long)]
    pub replicas: Option<u32>,
    /// Serve its ONNX or GGUF file even if a pickle, which is never loaded, lies beside it; or, if only Python loads it,
    /// load it though that runs code of whoever made it; for platform-admins
    #[arg(long)]
    pub allow_pickle: bool,
    #[command(flatten)]
    pub batching: BatchingArgs,
    /// Return at once instead of waiting until it is ready, or its release has ended
    #[arg(long, short)]
    pub detach: bool,
    #[command(flatten)]
    pub release: ReleaseArgs,
}

/// How this version, and those after it, get out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Release")]
pub struct ReleaseArgs {
    /// How this version and later ones get out [default: as it was said last, at first rolling]
    #[arg(long, value_name = "STRATEGY", value_parser = PossibleValuesParser::new(["rolling", "canary", "blue-green", "shadow", "ab"]))]
    pub release: Option<String>,
    /// The new version's share, step by step [default: 5,25,50]; for canary
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', requires = "release")]
    pub steps: Option<Vec<u32>>,
    /// How long each step takes at least [default: 60s]; for canary
    #[arg(long, value_name = "TIME", value_parser = time, requires = "release")]
    pub step_time: Option<u64>,
    /// How long the old version's replicas stay after the switch [default: 10m]; for blue-green
    #[arg(long, value_name = "TIME", value_parser = time, requires = "release")]
    pub keep: Option<u64>,
    /// The share of requests that are copied, or of callers and sessions [default: 10 and 50]; for shadow and ab
    #[arg(long, value_name = "PERCENT", requires = "release")]
    pub percent: Option<u32>,
    /// Requests that the new version has answered before it is judged, in each step [default: 50]
    #[arg(long, value_name = "N", requires = "release")]
    pub min_requests: Option<u64>,
    /// Roll back if more of its requests get no answer [default: 1%]
    #[arg(long, value_name = "PERCENT", value_parser = hundredths, requires = "release")]
    pub max_error_rate: Option<u64>,
    /// Roll back if more than one of a hundred takes longer
    #[arg(long, value_name = "TIME", value_parser = time, requires = "release")]
    pub max_p99: Option<u64>,
    /// Roll back if more than one of a hundred takes so many times as long as with the old version
    #[arg(long, value_name = "TIMES", value_parser = hundredths, requires = "release")]
    pub max_p99_ratio: Option<u64>,
    /// Roll back if for more than one of a hundred the first of the answer comes later
    #[arg(long, value_name = "TIME", value_parser = time, requires = "release")]
    pub max_first_token: Option<u64>,
}

/// `corliss endpoints releases`
#[derive(Debug, Args)]
pub struct ReleasesArgs {
    /// The endpoint's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// One of its releases, with its steps and what was seen; `newest` for the newest one
    #[arg(value_parser = some_text())]
    pub release: Option<String>,
    /// Follow the newest one, or this one, until it has ended
    #[arg(long, short)]
    pub follow: bool,
}

/// A time as `60s`, `10m`, `200ms`, in milliseconds.
fn time(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("not a time, as 200ms, 60s, 10m or 2h".to_owned()),
    };
    let number: Option<u64> = number.parse().ok();
    let ms = number.and_then(|number| number.checked_mul(unit));
    ms.ok_or_else(|| "not a time, as 200ms, 60s, 10m or 2h".to_owned())
}

/// A number with up to two decimals, in hundredths: `2%` and `2` are 200, `1.5` is 150.
fn hundredths(text: &str) -> Result<u64, String> {
    let problem = || "not a number with at most two decimals, as 2 or 0.25".to_owned();
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(rest) || rest.len() > 2 {
        return Err(problem());
    }
    let rest: u64 = format!("{rest:0<2}").parse().map_err(|_| problem())?;
    let whole: u64 = whole.parse().map_err(|_| problem())?;
    whole
        .checked_mul(100)
        .and_then(|whole| whole.checked_add(rest))
        .ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares() {
        let times = ["200ms", "60s", "10m", "2h"].map(|text| time(text).unwrap());
        assert_eq!(times, [200, 60_000, 600_000, 7_200_000]);
        for wrong in [
            "",
            "s",
            "60",
            "1.5s",
            "-1s",
            "99999999999999999999h",
            "18446744073709551615h",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        let shares = ["2%", "2", "1.5", "0.25%", "0"].map(|text| hundredths(text).unwrap());
        assert_eq!(shares, [200, 200, 150, 25, 0]);
        for wrong in ["", "%", "1.234", "a", "1.", ".5", "-1", "+1"] {
            assert!(hundredths(wrong).is_err(), "{wrong}");
        }
    }
}

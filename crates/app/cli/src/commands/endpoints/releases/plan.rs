//! How a version is to get out: what the options say, as the server takes it, and what it refuses, as they are called.

use serde_json::{Map, Value, json};

use crate::args::ReleaseArgs;
use crate::error::CliError;
use crate::flags::Flags;

/// What `endpoints deploy` is told, as the server takes it; nothing if nothing was said.
pub fn plan(args: &ReleaseArgs) -> Option<Value> {
    let strategy = args.release.as_ref()?.replace('-', "_");
    let mut plan = Map::from_iter([("strategy".to_owned(), json!(strategy))]);
    let mut objectives = Map::new();
    let say = |to: &mut Map<String, Value>, name: &str, value: Option<Value>| {
        to.extend(value.map(|value| (name.to_owned(), value)));
    };
    let number = |value: Option<u64>| value.map(|value| json!(value));
    say(&mut plan, "steps", args.steps.as_ref().map(|steps| json!(steps)));
    say(&mut plan, "step_ms", number(args.step_time));
    say(&mut plan, "keep_ms", number(args.keep));
    say(&mut plan, "percent", args.percent.map(|percent| json!(percent)));
    say(&mut plan, "min_requests", number(args.min_requests));
    say(&mut objectives, "max_error_bp", number(args.max_error_rate));
    say(&mut objectives, "max_p99_ms", number(args.max_p99));
    say(
        &mut objectives,
        "max_p99_ratio_percent",
        number(args.max_p99_ratio),
    );
    say(
        &mut objectives,
        "max_first_token_p99_ms",
        number(args.max_first_token),
    );
    if !objectives.is_empty() {
        plan.insert("objectives".to_owned(), Value::Object(objectives));
    }
    Some(Value::Object(plan))
}

/// What the server refused of a deployment, in the words of its command line.
pub fn in_flags(args: &ReleaseArgs, error: CliError) -> CliError {
    let objectives = [
        ("--max-error-rate", args.max_error_rate),
        ("--max-p99", args.max_p99),
        ("--max-p99-ratio", args.max_p99_ratio),
        ("--max-first-token", args.max_first_token),
    ];
    let given = objectives.iter().find(|(_, value)| value.is_some());
    let flags = Flags::new(&[
        ("name", "NAME"),
        ("model", "--model"),
        ("replicas", "--replicas"),
        ("batching.rows_max", "--batch-max"),
        ("batching.delay_us", "--batch-delay"),
        ("batching.preferred", "--batch-prefer"),
        ("batching.instances", "--instances"),
        ("release.strategy", "--release"),
        ("release.steps", "--steps"),
        ("release.step_ms", "--step-time"),
        ("release.keep_ms", "--keep"),
        ("release.percent", "--percent"),
        ("release.min_requests", "--min-requests"),
        ("release.objectives", given.map_or("--release", |(flag, _)| flag)),
        ("release.objectives.max_error_bp", "--max-error-rate"),
        ("release.objectives.max_p99_ms", "--max-p99"),
        ("release.objectives.max_p99_ratio_percent", "--max-p99-ratio"),
        ("release.objectives.max_first_token_p99_ms", "--max-first-token"),
    ]);
    let is_about = |part: &str| {
        let field = error.report.field.as_deref();
        field.is_some_and(|field| field.starts_with(part))
    };
    let (about_release, about_batching) = (is_about("release"), is_about("batching"));
    let mut error = flags.name(error);
    if about_batching {
        // The most rows are told of beside the rows that do not fit.
        error.report.message = error.report.message.replace("batching.rows_max", "--batch-max");
    }
    if about_release {
        // As it is typed here.
        error.report.message = error.report.message.replace("blue_green", "blue-green");
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        release: ReleaseArgs,
    }

    #[test]
    fn a_refusal_names_the_flags() {
        let said = |line: &str, field: &str, problem: &str| {
            let mut error = CliError::input(format!("{field} {problem}"));
            error.report.field = Some(field.to_owned());
            in_flags(&Only::parse_from(line.split(' ')).release, error)
                .report
                .message
        };
        assert_eq!(
            said(
                "deploy --release ab",
                "release.keep_ms",
                "belongs to blue_green, not to ab"
            ),
            "--keep belongs to blue-green, not to ab"
        );
        assert_eq!(
            said(
                "deploy --release rolling --max-p99 1s",
                "release.objectives",
                "belongs to canary"
            ),
            "--max-p99 belongs to canary"
        );
        assert_eq!(
            said(
                "deploy",
                "batching.preferred",
                "is 16, which no batch reaches: batching.rows_max is 8"
            ),
            "--batch-prefer is 16, which no batch reaches: --batch-max is 8"
        );
    }

    #[test]
    fn what_is_not_said_is_left_to_the_server() {
        let said = |line: &str| plan(&Only::parse_from(line.split(' ')).release);
        assert_eq!(said("deploy"), None);
        assert_eq!(
            said(
                "deploy --release canary --steps 5,25 --step-time 60s --max-error-rate 2% --max-p99 200ms --max-p99-ratio 1.5"
            ),
            Some(json!({
                "strategy": "canary", "steps": [5, 25], "step_ms": 60_000,
                "objectives": {"max_error_bp": 200, "max_p99_ms": 200, "max_p99_ratio_percent": 150},
            }))
        );
        assert_eq!(
            said("deploy --release blue-green --keep 10m"),
            Some(json!({"strategy": "blue_green", "keep_ms": 600_000}))
        );
        assert!(
            Only::try_parse_from(["deploy", "--steps", "5"]).is_err(),
            "steps of what?"
        );
    }
}

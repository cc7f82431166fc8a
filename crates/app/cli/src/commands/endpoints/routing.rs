//! `corliss endpoints routing`: how requests are routed, shown and changed.

use corliss_policy_serving::{Price, Routing};
use serde_json::{Value, json};

use crate::args::{OrNone, RoutingArgs};
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::flags::Flags;
use crate::readiness::path;
use crate::{money, output, settings_file, text};

/// Of a settings file, for whoever gave one that is none.
const EXAMPLE: &str = r#"{"router": "least_tokens", "retry": {"attempts": 3}}"#;
/// Of the name of an endpoint that is told of.
const NAME_SHOWN: usize = 100;

/// Shows, or changes and shows.
pub fn run(context: &Context, args: &RoutingArgs) -> CliResult {
    let api = context.api()?;
    let endpoint: Value = api.get(&path(&args.name))?;
    let mut notes = endpoint["routing_notes"].clone();
    let mut routing = endpoint["routing"].clone();
    if args.reset {
        routing = json!({});
    }
    if let Some(file) = &args.file {
        routing = settings_file::read(file, |error| {
            error.hint(format!(
                "it holds an object of settings, such as {EXAMPLE}, as `corliss endpoints routing NAME --json` prints it"
            ))
        })?;
    }
    let mut changed = args.reset || args.file.is_some();
    for (member, value) in settings(args) {
        changed = true;
        set(&mut routing, member, value);
    }
    if changed {
        let endpoint: CliResult<Value> = api.put(&format!("{}/routing", path(&args.name)), &routing);
        let endpoint = endpoint.map_err(|error| in_flags(args, error))?;
        routing = endpoint["routing"].clone();
        notes = endpoint["routing_notes"].clone();
    }
    if context.json {
        output::say_json(&routing);
        return Ok(());
    }
    output::say(&words(&typed(routing)?));
    for note in notes.as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::complain(&format!("note: {note}"));
    }
    Ok(())
}

/// What the server refused, in the words of the command line; what a file said is found there by its member.
fn in_flags(args: &RoutingArgs, error: CliError) -> CliError {
    let flags = [
        ("retry.attempts", "--attempts", args.attempts.is_some()),
        (
            "retry.budget_percent",
            "--retry-budget",
            args.retry_budget.is_some(),
        ),
        (
            "session_header",
            "--session-header",
            args.session_header.is_some(),
        ),
        (
            "hedge_after_ms",
            "--hedge-after-ms",
            args.hedge_after_ms.is_some(),
        ),
        (
            "attempt_timeout_ms",
            "--attempt-timeout-ms",
            args.attempt_timeout_ms.is_some(),
        ),
        ("timeout_ms", "--timeout-ms", args.timeout_ms.is_some()),
        (
            "concurrent_max",
            "--concurrent-max",
            args.concurrent_max.is_some(),
        ),
        ("fallback", "--fallback", args.fallback.is_some()),
        ("weights", "--weight", !args.weights.is_empty()),
    ];
    let given = flags.into_iter().filter(|(.., is_given)| *is_given);
    let given: Vec<_> = given.map(|(member, flag, _)| (member, flag)).collect();
    let names = args.fallback.iter().flatten().filter(|name| !name.is_empty());
    let flags = names
        .enumerate()
        .fold(Flags::new(&given), |flags, (index, name)| {
            let told = format!("--fallback '{}'", text::fit(name, NAME_SHOWN));
            flags.and(format!("fallback[{index}]"), told)
        });
    flags.name(error)
}

/// What the options say, by the path of the member.
fn settings(args: &RoutingArgs) -> Vec<(&'static [&'static str], Value)> {
    let mut said: Vec<(&'static [&'static str], Value)> = Vec::new();
    let mut say = |member: &'static [&'static str], value: Option<Value>| {
        said.extend(value.map(|value| (member, value)));
    };
    let or_none = |value: Option<OrNone>| value.map(|OrNone(value)| json!(value));
    say(&["router"], args.router.as_ref().map(|name| json!(name)));
    say(
        &["session_header"],
        args.session_header.as_ref().map(|name| json!(name)),
    );
    say(&["retry", "attempts"], args.attempts.map(|count| json!(count)));
    say(
        &["retry", "budget_percent"],
        args.retry_budget.map(|percent| json!(percent)),
    );
    say(&["hedge_after_ms"], or_none(args.hedge_after_ms));
    say(&["attempt_timeout_ms"], or_none(args.attempt_timeout_ms));
    say(&["timeout_ms"], or_none(args.timeout_ms));
    say(&["concurrent_max"], or_none(args.concurrent_max));
    let names = |names: &Vec<String>| json!(names.iter().filter(|name| !name.is_empty()).collect::<Vec<_>>());
    say(&["fallback"], args.fallback.as_ref().map(names));
    for (member, price) in [
        (
            &["price", "prompt_micros"] as &'static [&'static str],
            args.price_prompt,
        ),
        (&["price", "cached_micros"], args.price_cached),
        (&["price", "answer_micros"], args.price_answer),
        (&["price", "request_micros"], args.price_request),
    ] {
        say(member, price.map(|micros| json!(micros)));
    }
    if !args.weights.is_empty() {
        let weights: serde_json::Map<String, Value> = args
            .weights
            .iter()
            .map(|(version, share)| (version.to_string(), json!(share)))
            .collect();
        say(&["weights"], Some(Value::Object(weights)));
    }
    said
}

fn set(routing: &mut Value, member: &[&str], value: Value) {
    let mut at = routing;
    for name in member {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*name];
    }
    *at = value;
}

/// In words, a setting a line; what is as by default is left out where it says nothing.
fn words(routing: &Routing) -> String {
    let mut lines = vec![format!("router           {}", routing.router)];
    let mut line = |name: &str, value: String| lines.push(format!("{name:<17}{value}"));
    if routing.router == corliss_policy_serving::router::Strategy::SessionAffinity {
        line("session", format!("the header {}", routing.session_header));
    }
    if !routing.weights.is_empty() {
        let shares = routing
            .weights
            .iter()
            .map(|(version, share)| format!("version {version}: {share}"));
        line("weights", shares.collect::<Vec<_>>().join(", "));
    }
    let retry = routing.retry;
    line(
        "attempts",
        format!(
            "{} at most, further ones up to {} % of the requests",
            retry.attempts, retry.budget_percent
        ),
    );
    let millis = |value: Option<u64>, otherwise: &str| {
        value.map_or_else(|| otherwise.to_owned(), |value| format!("{value} ms"))
    };
    line("hedge after", millis(routing.hedge_after_ms, "never"));
    line("attempt time-out", millis(routing.attempt_timeout_ms, "none"));
    line("time-out", millis(routing.timeout_ms, "the server's"));
    let limit = routing
        .concurrent_max
        .map_or_else(|| "the server's limit".to_owned(), |limit| limit.to_string());
    line("at once", limit);
    let fallback = if routing.fallback.is_empty() {
        "none".to_owned()
    } else {
        routing.fallback.join(", ")
    };
    line("fallback", fallback);
    if routing.price != Price::default() {
        let Price {
            prompt_micros,
            cached_micros,
            answer_micros,
            request_micros,
        } = routing.price;
        let cached = cached_micros.unwrap_or(prompt_micros);
        line(
            "price",
            format!(
                "{} a million tokens of prompts ({} if cached), {} of answers; {} a request",
                money::show(prompt_micros),
                money::show(cached),
                money::show(answer_micros),
                money::show(request_micros)
            ),
        );
    }
    for (number, rule) in routing.rules.iter().enumerate() {
        let rule = serde_json::to_string(rule).unwrap_or_default();
        line(&format!("rule {number}"), rule);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_changes_its_own_setting() {
        let mut routing = json!({"router": "least_tokens", "retry": {"attempts": 2, "budget_percent": 20}});
        set(&mut routing, &["retry", "attempts"], json!(3));
        set(&mut routing, &["hedge_after_ms"], json!(null));
        assert_eq!(
            routing,
            json!({"router": "least_tokens", "retry": {"attempts": 3, "budget_percent": 20}, "hedge_after_ms": null})
        );
        let mut nothing = json!(null);
        set(&mut nothing, &["retry", "attempts"], json!(3));
        assert_eq!(nothing, json!({"retry": {"attempts": 3}}));
    }

    #[test]
    fn words_say_what_is_set() {
        let routing: Routing = serde_json::from_value(json!({
            "router": "session_affinity", "hedge_after_ms": 200, "fallback": ["a", "b"], "rules": [{"to": {"version": 3}}]
        }))
        .unwrap();
        let words = words(&routing);
        for said in [
            "session_affinity",
            "x-session-id",
            "200 ms",
            "a, b",
            "rule 0           {\"when\":[],\"to\":{\"version\":3}}",
        ] {
            assert!(words.contains(said), "{said}: {words}");
        }
    }
}

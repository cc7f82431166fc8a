//! `corliss admin limits …`: list, show, set, remove.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::args::{LimitsCommand, SetLimitsArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::flags::Flags;
use crate::output::{self, Table};
use crate::views::{Page, TokenView};
use crate::{money, program, units};

const ALL: &str = "/api/v1/limits";
const OWN: &str = "/api/v1/own-limits";
/// Stands for everybody who has no limits of their own.
const EVERYBODY: &str = "*";

#[derive(Debug, Deserialize)]
struct LimitsView {
    name: String,
    limits: Limits,
    requests_used: u64,
    tokens_used: u64,
    running: u32,
    spent_micros: u64,
    reserved_micros: u64,
}

#[derive(Debug, Deserialize)]
struct Limits {
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    concurrent_max: Option<u32>,
    budget: Option<Budget>,
}

#[derive(Debug, Deserialize)]
struct Budget {
    micros: u64,
    period: String,
}

/// Dispatches.
pub fn run(context: &Context, command: &LimitsCommand) -> CliResult {
    match command {
        LimitsCommand::List => {
            let answer: Value = context.api()?.get(ALL)?;
            context.answer(answer, |page: Page<LimitsView>| table(page.items))
        }
        LimitsCommand::Show { name } => {
            let path = name.as_deref().map_or_else(|| OWN.to_owned(), one);
            let api = context.api()?;
            match api.get::<Value>(&path) {
                Ok(answer) => context.answer(answer, |limits: LimitsView| table(vec![limits])),
                Err(error) if error.report.code == "limits_not_found" => {
                    unlimited(context, &api, name.as_deref(), error)
                }
                Err(error) => Err(error),
            }
        }
        LimitsCommand::Set(args) => {
            let answer: CliResult<Value> = context.api()?.put(&one(&args.name), &body(args));
            let answer = answer.map_err(|error| flags().name(error))?;
            // A token may come later, and not everybody may see which there are.
            if args.name != EVERYBODY && is_token(&context.api()?, &args.name) == Some(false) {
                output::complain(&format!("note: no token is called '{}'", args.name));
            }
            context.answer(answer, |limits: LimitsView| table(vec![limits]))
        }
        LimitsCommand::Remove { name } => {
            context.api()?.delete(&one(name))?;
            if context.json {
                output::say_json(&json!({ "name": name, "limits": null }));
            } else {
                output::say(&format!("'{name}' has no limits of its own any more."));
            }
            Ok(())
        }
    }
}

/// A caller who is there has no limits, which is no error; one that nobody knows is probably misspelt.
fn unlimited(context: &Context, api: &Api, name: Option<&str>, error: CliError) -> CliResult {
    let Some(name) = name else {
        return no_limits(context, None, "You have no limits.");
    };
    if name == EVERYBODY || is_token(api, name) == Some(true) {
        return no_limits(context, Some(name), &format!("'{name}' has no limits."));
    }
    let tokens = program::command("admin token list");
    Err(error.hint(format!(
        "nor is there a token of this name; list them with: {tokens}"
    )))
}

fn no_limits(context: &Context, name: Option<&str>, told: &str) -> CliResult {
    if context.json {
        output::say_json(&json!({ "name": name, "limits": null }));
    } else {
        output::say(told);
    }
    Ok(())
}

/// Whether there is a token of this name; none where this caller may not see which there are.
fn is_token(api: &Api, name: &str) -> Option<bool> {
    let tokens: CliResult<Page<TokenView>> = api.get("/api/v1/tokens");
    let page = tokens.ok()?;
    Some(page.items.iter().any(|token| token.name == name))
}

fn flags() -> Flags {
    Flags::new(&[
        ("name", "NAME"),
        ("requests_per_minute", "--requests-per-minute"),
        ("tokens_per_minute", "--tokens-per-minute"),
        ("concurrent_max", "--at-once"),
        ("budget.micros", "--budget"),
    ])
}

fn one(name: &str) -> String {
    format!("{ALL}/{}", segment(name))
}

fn body(args: &SetLimitsArgs) -> Value {
    let budget = args
        .budget
        .map(|micros| json!({ "micros": micros, "period": args.per }));
    json!({
        "requests_per_minute": args.requests_per_minute,
        "tokens_per_minute": args.tokens_per_minute,
        "concurrent_max": args.at_once,
        "budget": budget,
    })
}

fn table(all: Vec<LimitsView>) {
    let mut table = Table::new(&[
        "caller",
        "requests a minute",
        "tokens a minute",
        "at once",
        "budget",
        "on the way",
    ]);
    for one in all {
        let of = |used: u64, limit: Option<u64>| {
            limit.map_or_else(
                || "-".to_owned(),
                |limit| format!("{} of {}", units::grouped(used), units::grouped(limit)),
            )
        };
        let everybody = one.name == EVERYBODY;
        let used = |used: u64| if everybody { 0 } else { used };
        table.row([
            if everybody {
                "* (everybody else)".to_owned()
            } else {
                one.name
            },
            of(used(one.requests_used), one.limits.requests_per_minute),
            of(used(one.tokens_used), one.limits.tokens_per_minute),
            of(one.running.into(), one.limits.concurrent_max.map(u64::from)),
            one.limits.budget.as_ref().map_or_else(
                || "-".to_owned(),
                |budget| {
                    let (spent, whole) = (money::show(one.spent_micros), money::show(budget.micros));
                    match budget.period.as_str() {
                        "ever" => format!("{spent} of {whole}"),
                        period => format!("{spent} of {whole} a {period}"),
                    }
                },
            ),
            money::show(one.reserved_micros),
        ]);
    }
    table.print("Nobody has limits. Set some with: corliss admin limits set NAME --requests-per-minute 60");
}

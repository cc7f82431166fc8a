//! `corliss admin limits …`: list, show, set, remove.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::segment;
use crate::args::{LimitsCommand, SetLimitsArgs};
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::views::Page;
use crate::{money, units};

const ALL: &str = "/api/v1/limits";
const OWN: &str = "/api/v1/own-limits";

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
            let answer: Value = context.api()?.get(&path)?;
            context.answer(answer, |limits: LimitsView| table(vec![limits]))
        }
        LimitsCommand::Set(args) => {
            let answer: Value = context.api()?.put(&one(&args.name), &body(args))?;
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
        let everybody = one.name == "*";
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

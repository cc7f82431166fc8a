//! `corliss endpoints releases`, `promote`, `rollback`, `pause`, `resume`: how versions get out, and what is said about it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::segment;
use crate::args::{ReleaseArgs, ReleasesArgs};
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::link::{self, Link};
use crate::output::{self, Table};
use crate::readiness::path;
use crate::views::Page;
use crate::{interrupt, program, units};

#[derive(Debug, Deserialize)]
struct ReleaseView {
    id: String,
    model: String,
    from_version: u32,
    to_version: u32,
    plan: Plan,
    state: String,
    step: u32,
    steps_total: u32,
    percent: u32,
    copies: u32,
    /// What this program does not know is not told.
    #[serde(default)]
    next: Value,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    started_by: Option<String>,
    #[serde(default)]
    versions: Vec<VersionView>,
    #[serde(default)]
    steps: Vec<StepView>,
    created_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Plan {
    strategy: String,
}

#[derive(Debug, Deserialize)]
struct VersionView {
    version: u32,
    replicas_ready: u32,
    #[serde(flatten)]
    seen: Seen,
    #[serde(default)]
    same: Option<u64>,
    #[serde(default)]
    different: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct StepView {
    step: u32,
    percent: u32,
    copies: u32,
    begun_ms: Option<i64>,
    ended_ms: i64,
    old: Seen,
    new: Seen,
}

#[derive(Debug, Deserialize)]
struct Seen {
    requests: u64,
    errors: u64,
    p99_us: Option<u64>,
    first_token_p99_us: Option<u64>,
}

impl ReleaseView {
    fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    /// Whether it goes no further by itself.
    fn waits_for_somebody(&self) -> bool {
        self.next["waits_for"] == "decision"
    }
}

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

fn all(name: &str) -> String {
    format!("{}/releases", path(name))
}

fn one(name: &str, id: &str) -> String {
    format!("{}/{}", all(name), segment(id))
}

/// Lists them, shows one, or follows one.
pub fn run(context: &Context, args: &ReleasesArgs) -> CliResult {
    let api = context.api()?;
    let name = &args.name;
    if args.release.is_none() && !args.follow {
        let answer: Value = api.get(&all(name))?;
        return context.answer(answer, |page: Page<ReleaseView>| list(&args.name, page.items));
    }
    let id = match args.release.as_deref() {
        Some(id) if id != "newest" => id.to_owned(),
        _ => newest(&api.get(&all(name))?, name)?,
    };
    let answer = if args.follow {
        let look = format!("endpoints releases {name}");
        follow(
            Link::new(context, api, "the release", look),
            context,
            name,
            &id,
            false,
        )?
    } else {
        api.get(&one(name, &id))?
    };
    context.answer(answer, |release: ReleaseView| show(&release))
}

fn newest(answer: &Value, name: &str) -> CliResult<String> {
    let id = answer["items"][0]["id"].as_str();
    id.map(str::to_owned).ok_or_else(|| {
        CliError::new(
            5,
            "release_not_found",
            format!("endpoint '{name}' has had no releases"),
        )
        .hint(start(name))
    })
}

fn start(name: &str) -> String {
    program::command(&format!(
        "endpoints deploy {name} --model MODEL@ALIAS --release canary"
    ))
}

/// Says something about the release that goes on.
pub fn tell(context: &Context, name: &str, word: &str) -> CliResult {
    let api = context.api()?;
    let id = newest(&api.get(&all(name))?, name)?;
    let answer: Value = api.post(&format!("{}/{word}", one(name, &id)), &json!({}))?;
    context.answer(answer, |release: ReleaseView| {
        output::say(&format!("{}: {}", release.id, line(&release)));
    })
}

/// Follows the release that a deployment began, until it has ended or waits for somebody; an error if it was not the new
/// version that won.
pub fn wait(link: Link, context: &Context, name: &str, id: &str) -> CliResult {
    interrupt::on_interrupt(format!(
        "the release goes on: {}",
        program::command(&format!("endpoints releases {name} --follow"))
    ));
    let answer = follow(link, context, name, id, true)?;
    let release: ReleaseView = typed(answer.clone())?;
    if matches!(release.state.as_str(), "rolled_back" | "superseded") {
        let state = release.state.replace('_', " ");
        let reason = release.reason.unwrap_or_else(|| "no reason is known".to_owned());
        let message = format!(
            "the release of version {} was {state}: {reason}",
            release.to_version
        );
        let look = program::command(&format!("endpoints releases {name} {id}"));
        return Err(CliError::failed(message).hint(look));
    }
    context.answer(answer, |release: ReleaseView| show(&release))
}

/// Tells of every change, until it has ended, or waits for somebody if that is an end here.
fn follow(mut link: Link, context: &Context, name: &str, id: &str, until_it_waits: bool) -> CliResult<Value> {
    let mut told = String::new();
    loop {
        let answer = link.get(&one(name, id))?;
        link.tell();
        if let Some(answer) = answer {
            let release: ReleaseView = typed(answer.clone())?;
            let now = line(&release);
            if !context.json && now != told {
                output::complain(&now);
                told = now;
            }
            if !release.is_active() || until_it_waits && release.waits_for_somebody() {
                return Ok(answer);
            }
        }
        std::thread::sleep(link::PAUSE);
    }
}

/// How it is, in a line that changes only when something did.
fn line(release: &ReleaseView) -> String {
    let versions = format!("version {} to {}", release.from_version, release.to_version);
    if !release.is_active() {
        let reason = release
            .reason
            .as_deref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        return format!("{versions}, {}{reason}", release.state.replace('_', " "));
    }
    let step = if release.steps_total > 1 {
        format!(", step {} of {}", release.step + 1, release.steps_total)
    } else {
        String::new()
    };
    let paused = if release.state == "paused" { ", paused" } else { "" };
    format!(
        "{versions}{step}: {}{paused}{}",
        share(release.percent, release.copies),
        awaited(&release.next)
    )
}

fn share(percent: u32, copies: u32) -> String {
    if copies > 0 {
        format!("copies of {copies} %")
    } else {
        format!("{percent} % of the requests")
    }
}

fn awaited(next: &Value) -> String {
    match next["waits_for"].as_str() {
        Some("replicas") => format!("; {} of {} replicas ready", next["ready"], next["needed"]),
        Some("requests") => "; waits for requests".to_owned(),
        Some("decision") => "; waits for promote or rollback".to_owned(),
        _ => String::new(),
    }
}

fn list(endpoint: &str, releases: Vec<ReleaseView>) {
    let mut table = Table::new(&[
        "release", "versions", "strategy", "state", "step", "gets", "by", "started", "reason",
    ]);
    for release in releases {
        let gets = if release.is_active() {
            share(release.percent, release.copies)
        } else {
            String::new()
        };
        table.row([
            release.id,
            format!("{} to {}", release.from_version, release.to_version),
            release.plan.strategy.replace('_', "-"),
            release.state.replace('_', " "),
            format!("{}/{}", release.step + 1, release.steps_total),
            gets,
            release.started_by.unwrap_or_else(|| "its alias".to_owned()),
            units::ago(release.created_ms),
            release.reason.unwrap_or_default(),
        ]);
    }
    table.print(&format!(
        "Endpoint '{endpoint}' has had no releases. Start one with: {}",
        program::command(&format!(
            "endpoints deploy {endpoint} --model MODEL@ALIAS --release canary"
        ))
    ));
}

fn show(release: &ReleaseView) {
    let by = release.started_by.as_deref().unwrap_or("its alias");
    output::say(&format!(
        "{}  {}  {}, by {by}",
        release.id,
        release.model,
        release.plan.strategy.replace('_', "-")
    ));
    output::say(&line(release));
    if !release.versions.is_empty() {
        output::say("");
        let mut table = Table::new(&[
            "version",
            "replicas",
            "requests",
            "errors",
            "p99",
            "first token p99",
            "copies alike",
        ]);
        for version in &release.versions {
            let alike = version.same.zip(version.different);
            table.row([
                version.version.to_string(),
                version.replicas_ready.to_string(),
                units::grouped(version.seen.requests),
                units::grouped(version.seen.errors),
                span(version.seen.p99_us),
                span(version.seen.first_token_p99_us),
                alike
                    .map(|(same, different)| format!("{same} of {}", same + different))
                    .unwrap_or_default(),
            ]);
        }
        table.print("");
    }
    if !release.steps.is_empty() {
        output::say("");
        let mut table = Table::new(&[
            "step",
            "gave",
            "took",
            "new: requests",
            "errors",
            "p99",
            "old, in all: requests",
            "errors",
            "p99",
        ]);
        for step in &release.steps {
            table.row([
                (step.step + 1).to_string(),
                share(step.percent, step.copies),
                units::span(step.begun_ms, Some(step.ended_ms)),
                units::grouped(step.new.requests),
                units::grouped(step.new.errors),
                span(step.new.p99_us),
                units::grouped(step.old.requests),
                units::grouped(step.old.errors),
                span(step.old.p99_us),
            ]);
        }
        table.print("");
    }
}

fn span(us: Option<u64>) -> String {
    us.map_or_else(|| "-".to_owned(), super::requests::span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(more: Value) -> ReleaseView {
        let mut release = json!({
            "id": "rel_1", "model": "digits/2", "from_version": 1, "to_version": 2, "plan": {"strategy": "canary"},
            "state": "running", "step": 1, "steps_total": 3, "percent": 25, "copies": 0, "created_ms": 0,
        });
        for (name, value) in more.as_object().unwrap() {
            release[name] = value.clone();
        }
        serde_json::from_value(release).unwrap()
    }

    #[test]
    fn a_line_says_how_it_is() {
        assert_eq!(
            line(&release(json!({}))),
            "version 1 to 2, step 2 of 3: 25 % of the requests"
        );
        let waits = json!({"steps_total": 1, "copies": 20, "next": {"waits_for": "decision"}});
        assert_eq!(
            line(&release(waits)),
            "version 1 to 2: copies of 20 %; waits for promote or rollback"
        );
        let back = json!({"state": "rolled_back", "reason": "12 of 50 requests got no answer"});
        assert_eq!(
            line(&release(back)),
            "version 1 to 2, rolled back: 12 of 50 requests got no answer"
        );
    }

    #[test]
    fn what_is_not_said_is_left_to_the_server() {
        use clap::Parser;
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            release: ReleaseArgs,
        }
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

//! `corliss runs …`: list, show, cancel, rerun.

use serde_json::{Value, json};

use crate::api::segment;
use crate::args::{MAX_RUNS, RunsCommand};
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table, more};
use crate::program;
use crate::run::follow;
use crate::text::short;
use crate::units;
use crate::views::{Page, RunDetail, RunSummary};

/// Dispatches.
pub fn run(context: &Context, command: &RunsCommand) -> CliResult {
    match command {
        RunsCommand::List { limit } => list(context, *limit),
        RunsCommand::Show { id } => show(context, id),
        RunsCommand::Cancel { id } => cancel(context, id),
        RunsCommand::Rerun { id, from, detach } => rerun(context, id, from.as_deref(), *detach),
    }
}

fn list(context: &Context, limit: u32) -> CliResult {
    let answer: Value = context.api()?.get(&format!("/api/v1/runs?limit={limit}"))?;
    context.answer(answer, |page: Page<RunSummary>| {
        let mut table = Table::new(&["run", "project", "state", "steps", "took", "created"]);
        for run in page.items {
            table.row([
                run.id,
                run.project,
                run.state,
                format!("{}/{}", run.steps_done, run.steps_total),
                units::span(run.started_ms, run.ended_ms),
                units::ago(run.created_ms),
            ]);
        }
        table.print(&format!(
            "No runs yet. Start one with: {}",
            program::command("run examples/digits/corliss.yaml")
        ));
        if page.next_page_token.is_some() {
            output::say(&more("runs list", limit, MAX_RUNS));
        }
    })
}

fn show(context: &Context, id: &str) -> CliResult {
    let api = context.api()?;
    let answer: Value = api.get(&format!("/api/v1/runs/{}", segment(id)))?;
    context.answer(answer, |run: RunDetail| print_detail(&run, api.url()))
}

fn print_detail(run: &RunDetail, url: &str) {
    let summary = &run.summary;
    output::say(&format!("{}  {}  {}", summary.id, summary.project, summary.state));
    if let Some(reason) = &run.reason {
        output::say(&format!("because {reason}"));
    }
    output::say(&format!(
        "took     {}",
        units::span(summary.started_ms, summary.ended_ms)
    ));
    output::say(&format!("created  {}", units::ago(summary.created_ms)));
    if let Some(source) = &run.source {
        output::say(&format!("code     {}.code {}", summary.project, short(source)));
    }
    for (name, version) in &run.data {
        output::say(&format!("data     {name} {}", short(version)));
    }
    output::say(&format!("console  {url}/runs/{}", summary.id));
    output::say("");
    let mut steps = Table::new(&["step", "state", "attempt", "took", "job", "reason"]);
    for step in &run.steps {
        steps.row([
            step.name.clone(),
            step.state.clone(),
            step.attempt.to_string(),
            units::span(step.started_ms, step.ended_ms),
            step.job_id.clone().unwrap_or_default(),
            step.reason.clone().unwrap_or_default(),
        ]);
    }
    steps.print("This project has no steps.");
    for model in &run.models {
        output::say(&format!("model {} {}", model.label(), model.state_and_reason()));
    }
    for endpoint in &run.endpoints {
        output::say(&format!(
            "endpoint {} {}",
            endpoint.name,
            endpoint.state_and_reason()
        ));
    }
}

fn cancel(context: &Context, id: &str) -> CliResult {
    let answer: Value = context
        .api()?
        .post(&format!("/api/v1/runs/{}/cancel", segment(id)), &json!({}))?;
    if context.json {
        output::say_json(&answer);
    } else {
        output::say(&format!("{id} is being cancelled."));
    }
    Ok(())
}

fn rerun(context: &Context, id: &str, from: Option<&str>, detach: bool) -> CliResult {
    let api = context.api()?;
    let body = from.map_or_else(|| json!({}), |step| json!({ "from_step": step }));
    let answer: CliResult<Value> = api.post(&format!("/api/v1/runs/{}/rerun", segment(id)), &body);
    let answer = answer.map_err(|error| error.in_file(format!("project file of {id}")))?;
    let new_id = answer
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    follow::submitted(context, api, &new_id, detach)
}

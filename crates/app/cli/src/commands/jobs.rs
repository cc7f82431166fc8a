//! `corliss jobs …`: list, show, cancel.

use serde_json::{Value, json};

use crate::api::segment;
use crate::args::JobsCommand;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::units;
use crate::views::{JobView, Page, TaskExit};

/// Dispatches.
pub fn run(context: &Context, command: &JobsCommand) -> CliResult {
    match command {
        JobsCommand::List { run, state } => list(context, run.as_deref(), state.as_deref()),
        JobsCommand::Show { id } => show(context, id),
        JobsCommand::Cancel { id } => cancel(context, id),
    }
}

fn list(context: &Context, run: Option<&str>, state: Option<&str>) -> CliResult {
    let filters = [("run_id", run), ("state", state)];
    let query: Vec<String> = filters
        .iter()
        .filter_map(|(key, value)| value.map(|value| format!("{key}={}", segment(value))))
        .collect();
    let answer: Value = context.api()?.get(&format!("/api/v1/jobs?{}", query.join("&")))?;
    context.answer(answer, |page: Page<JobView>| {
        let mut table = Table::new(&[
            "job", "name", "kind", "state", "workers", "took", "created", "reason",
        ]);
        for job in page.items {
            table.row([
                job.id,
                job.name,
                job.kind,
                job.state,
                job.workers.to_string(),
                units::span(job.started_ms, job.ended_ms),
                units::ago(job.created_ms),
                job.reason.unwrap_or_default(),
            ]);
        }
        table.print("No jobs. Steps and endpoints become jobs: corliss run FILE");
    })
}

fn show(context: &Context, id: &str) -> CliResult {
    let answer: Value = context.api()?.get(&format!("/api/v1/jobs/{}", segment(id)))?;
    context.answer(answer, |job: JobView| {
        output::say(&format!("{}  {}  {}", job.id, job.name, job.state));
        output::say(&format!(
            "{}, each {}",
            units::plural(u64::from(job.workers), "worker"),
            units::resources(&job.resources_per_worker)
        ));
        if let Some(reason) = &job.reason {
            output::say(&format!("because {reason}"));
        }
        output::say("");
        let mut table = Table::new(&["rank", "state", "pid", "exit", "task"]);
        for task in job.tasks {
            table.row([
                task.rank.to_string(),
                task.state,
                task.pid.map(|pid| pid.to_string()).unwrap_or_default(),
                task.exit.as_ref().map(exit_text).unwrap_or_default(),
                task.task_id,
            ]);
        }
        table.print("Its tasks have not been started.");
    })
}

/// `exited 1`, `signaled 9`, `out_of_memory`
fn exit_text(exit: &TaskExit) -> String {
    match (exit.kind.as_str(), exit.code, exit.signal) {
        ("exited", Some(code), _) => format!("exited {code}"),
        ("signaled", _, Some(signal)) => format!("signaled {signal}"),
        (kind, _, _) => kind.to_owned(),
    }
}

fn cancel(context: &Context, id: &str) -> CliResult {
    let answer: Value = context
        .api()?
        .post(&format!("/api/v1/jobs/{}/cancel", segment(id)), &json!({}))?;
    if context.json {
        output::say_json(&answer);
    } else {
        output::say(&format!("{id} is being cancelled."));
    }
    Ok(())
}

//! `corliss jobs …`: list, show, cancel; `usage` has a module of its own.

use serde_json::{Value, json};

use crate::api::segment;
use crate::args::{JobsCommand, MAX_JOBS};
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table, more};
use crate::program;
use crate::text::shell_word;
use crate::units;
use crate::views::{JobView, Page, TaskExit};

/// Dispatches.
pub fn run(context: &Context, command: &JobsCommand) -> CliResult {
    match command {
        JobsCommand::List { run, state, limit } => list(context, run.as_deref(), state.as_deref(), *limit),
        JobsCommand::Show { id } => show(context, id),
        JobsCommand::Usage(args) => super::usage::run(context, args),
        JobsCommand::Cancel { id } => cancel(context, id),
    }
}

fn list(context: &Context, run: Option<&str>, state: Option<&str>, limit: u32) -> CliResult {
    let of = |key: &str, value: Option<&str>| match value {
        Some(value) => format!("&{key}={}", segment(value)),
        None => String::new(),
    };
    let filters = of("run_id", run) + &of("state", state);
    let answer: Value = context
        .api()?
        .get(&format!("/api/v1/jobs?limit={limit}{filters}"))?;
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
        table.print(&format!(
            "No jobs. Steps and endpoints become jobs: {}",
            program::command("run FILE")
        ));
        if page.next_page_token.is_some() {
            let option = |name: &str, value: Option<&str>| match value {
                Some(value) => format!(" {name} {}", shell_word(value)),
                None => String::new(),
            };
            let list = format!("jobs list{}{}", option("--run", run), option("--state", state));
            output::say(&more(&list, limit, MAX_JOBS));
        }
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
        let stopped = answer["state"] == "cancelled";
        output::say(&format!(
            "{id} is {}.",
            if stopped { "cancelled" } else { "being cancelled" }
        ));
    }
    Ok(())
}

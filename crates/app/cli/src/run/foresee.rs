//! `corliss run --dry-run`: what would become of each step, without submitting anything.

use corliss_pipelines::project_file::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::project;
use crate::api::Api;
use crate::args::RunArgs;
use crate::context::{Context, typed};
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::units;

#[derive(Deserialize)]
struct Foreseen {
    problems: Vec<Problem>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    step: String,
    after: Vec<String>,
    job: Option<Outlook>,
}

#[derive(Deserialize)]
struct Outlook {
    starts_now: bool,
    summary: String,
    starts_ms: Option<i64>,
    stops: Vec<Stopped>,
}

#[derive(Deserialize)]
struct Stopped {
    job_id: String,
    name: String,
}

/// Asks and tells.
pub fn run(context: &Context, api: &Api, args: &RunArgs) -> CliResult {
    let file = args.file.as_path();
    let loaded = project::load(file)?;
    let request = json!({
        "project_file": loaded.text,
        "file_name": loaded.file_name,
        "begin_ms": args.begin,
    });
    let answer: Value = api.post("/api/v1/runs/validate", &request)?;
    let foreseen: Foreseen = typed(answer.clone())?;
    // What only the server knows: what the machine has, which queues there are.
    if !foreseen.problems.is_empty() {
        return Err(project::refuse(file, foreseen.problems));
    }
    context.answer(answer, |foreseen: Foreseen| {
        let mut table = Table::new(&["step", "now", "because"]);
        for step in foreseen.steps {
            table.row(told(step));
        }
        table.print("It has no steps.");
        output::say(
            "\nNothing was submitted. A step whose result is known from an earlier run is not run again.",
        );
    })
}

fn told(step: Step) -> [String; 3] {
    let Some(job) = step.job else {
        return [
            step.step,
            "waits".to_owned(),
            format!("It comes after {}.", step.after.join(", ")),
        ];
    };
    if job.starts_now {
        return [step.step, "starts".to_owned(), String::new()];
    }
    let mut because = job.summary;
    if !job.stops.is_empty() {
        let stops = job.stops.into_iter();
        let stops: Vec<String> = stops
            .map(|stopped| format!("'{}' ({})", stopped.name, stopped.job_id))
            .collect();
        because.push_str(&format!(" It would stop {}.", stops.join(", ")));
    }
    if let Some(starts_ms) = job.starts_ms.filter(|at| *at > units::now_ms()) {
        because.push_str(&format!(" It would start {}.", units::until(starts_ms)));
    }
    [step.step, "waits".to_owned(), because]
}

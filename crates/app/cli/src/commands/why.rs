//! `corliss why`: one sentence on why a job waits, runs or failed.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::args::WhyArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::output;
use crate::units;
use crate::views::{RunDetail, StepView, Why};

/// Names told in one sentence.
const MOST_NAMES: usize = 20;

/// Explains.
pub fn run(context: &Context, args: &WhyArgs) -> CliResult {
    let api = context.api()?;
    let answer: Value = match target_of(&api, &args.target, "why")? {
        Target::Job(job) => api.get(&format!("/api/v1/jobs/{}/why", segment(&job)))?,
        Target::Step(step) => {
            json!({ "state": step.state, "summary": without_job(&step), "waiting_ms": 0 })
        }
    };
    context.answer(answer, |why: Why| {
        output::say(&why.summary);
        if let Some(position) = why.position {
            output::say(&format!(
                "Place {position} in the queue, waiting for {}.",
                units::duration(why.waiting_ms)
            ));
        }
    })
}

/// What `JOB` or `RUN/STEP` names.
enum Target {
    Job(String),
    /// A step that has no job: it was skipped, say, or waits for another.
    Step(StepView),
}

/// The job behind `JOB` or `RUN/STEP`; `verb` is the command, for the hint.
pub fn job_of(api: &Api, target: &str, verb: &str) -> CliResult<String> {
    match target_of(api, target, verb)? {
        Target::Job(job) => Ok(job),
        Target::Step(step) => Err(CliError::new(
            EXIT_NOT_FOUND,
            "no_job",
            format!("it has no log: {}", without_job(&step)),
        )
        .hint(format!("corliss why {target}"))),
    }
}

/// `step 'b' is skipped: 'a' failed`
fn without_job(step: &StepView) -> String {
    let reason = step.reason.as_ref().map(|reason| format!(": {reason}"));
    let doing = match step.state.as_str() {
        "waiting" => "waits".to_owned(),
        state => format!("is {state}"),
    };
    format!("step '{}' {doing}{}", step.name, reason.unwrap_or_default())
}

fn target_of(api: &Api, target: &str, verb: &str) -> CliResult<Target> {
    let Some((run, step)) = target.split_once('/') else {
        if target.starts_with("run_") {
            return Err(no_step(api, target, verb));
        }
        return Ok(Target::Job(target.to_owned()));
    };
    let mut detail: RunDetail = api.get(&run_path(run))?;
    let place = detail.steps.iter().position(|candidate| candidate.name == step);
    if let Some(place) = place {
        let found = detail.steps.swap_remove(place);
        return Ok(match found.job_id {
            Some(job) => Target::Job(job),
            None => Target::Step(found),
        });
    }
    let names: Vec<&str> = detail.steps.iter().map(|step| step.name.as_str()).collect();
    let error = CliError::new(
        EXIT_NOT_FOUND,
        "step_not_found",
        format!("{run} has no step '{step}'"),
    );
    Err(match corliss_diagnostics::nearest(step, names.iter().copied()) {
        Some(name) => error.hint(format!("did you mean '{name}'?")),
        None => error.hint(format!("its steps are {}", listed(&names))),
    })
}

fn run_path(run: &str) -> String {
    format!("/api/v1/runs/{}", segment(run))
}

/// A run was named where one of its steps is meant.
fn no_step(api: &Api, run: &str, verb: &str) -> CliError {
    let detail: RunDetail = match api.get(&run_path(run)) {
        Ok(detail) => detail,
        Err(error) => return error,
    };
    let names: Vec<&str> = detail.steps.iter().map(|step| step.name.as_str()).collect();
    let error = CliError::input(format!("{run} is a run: name one of its steps, as RUN/STEP"));
    match names.first() {
        Some(first) => error.hint(format!(
            "corliss {verb} {run}/{first}; its steps are {}",
            listed(&names)
        )),
        None => error,
    }
}

/// The names; of very many, the first.
fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

//! `corliss why`: one sentence on why a job waits, runs or failed.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::args::WhyArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::output;
use crate::program;
use crate::units;
use crate::views::{RunDetail, StepView, Why};

/// Names told in one sentence.
const MOST_NAMES: usize = 20;

/// Explains.
pub fn run(context: &Context, args: &WhyArgs) -> CliResult {
    let api = context.api()?;
    let answer: Value = match target_of(&api, &args.target, "why")? {
        Target::Job(job) => api.get(&format!("/api/v1/jobs/{}/why", segment(&job)))?,
        Target::Step(step) => match step.job_id.as_deref().filter(|_| follows_its_job(&step)) {
            Some(job) => api.get(&format!("/api/v1/jobs/{}/why", segment(job)))?,
            None => json!({ "state": step.state, "summary": in_words(&step), "waiting_ms": 0 }),
        },
    };
    context.answer(answer, |why: Why| {
        output::say(&why.summary);
        if let Some(position) = why.position {
            output::say(&format!(
                "Place {position} in the queue, waiting for {}.",
                units::duration(why.waiting_ms)
            ));
        }
        if let Some(starts_ms) = why.starts_ms {
            output::say(&format!(
                "It starts {} if the jobs before it run as long as was said.",
                match starts_ms.saturating_sub(units::now_ms()) {
                    ..=0 => "at once".to_owned(),
                    _ => units::until(starts_ms),
                }
            ));
        }
    })
}

/// What `JOB` or `RUN/STEP` names.
enum Target {
    Job(String),
    Step(StepView),
}

/// The job behind `JOB` or `RUN/STEP`; `verb` is the command, for the hint.
pub fn job_of(api: &Api, target: &str, verb: &str) -> CliResult<String> {
    match target_of(api, target, verb)? {
        Target::Job(job) => Ok(job),
        Target::Step(step) => match &step.job_id {
            Some(job) => Ok(job.clone()),
            None => Err(no_log(target, &step, verb)),
        },
    }
}

/// Whether the step stands as its newest job does. A step may fail although its job succeeded, if an output
/// is missing, and waits between two jobs.
fn follows_its_job(step: &StepView) -> bool {
    matches!(
        step.state.as_str(),
        "queued" | "running" | "publishing" | "succeeded"
    )
}

fn no_log(target: &str, step: &StepView, verb: &str) -> CliError {
    let error = CliError::new(
        EXIT_NOT_FOUND,
        "no_job",
        format!("it has no log: {}", in_words(step)),
    );
    match &step.cached_from {
        Some(run) => {
            let there = program::command(&format!("{verb} {run}/{}", step.name));
            error.hint(format!("the run that made its result has the log: {there}"))
        }
        None => error.hint(program::command(&format!("why {target}"))),
    }
}

/// `step 'b' is skipped: 'a' failed`
fn in_words(step: &StepView) -> String {
    let reason = match (&step.reason, &step.cached_from) {
        (Some(reason), _) => format!(": {reason}"),
        (None, Some(run)) => format!(" from {run}"),
        (None, None) => String::new(),
    };
    let doing = match step.state.as_str() {
        "waiting" => "waits".to_owned(),
        "cancelled" => "was cancelled".to_owned(),
        "failed" => "failed".to_owned(),
        state => format!("is {state}"),
    };
    format!("step '{}' {doing}{reason}", step.name)
}

fn target_of(api: &Api, target: &str, verb: &str) -> CliResult<Target> {
    let Some((run, step)) = target.split_once('/') else {
        if target.starts_with("run_") {
            return Err(no_step(api, target, verb));
        }
        return Ok(Target::Job(target.to_owned()));
    };
    if run.is_empty() || step.is_empty() {
        return Err(CliError::input(format!("'{target}' names no step")).hint("write it as RUN/STEP"));
    }
    let mut detail: RunDetail = api.get(&run_path(run))?;
    let place = detail.steps.iter().position(|candidate| candidate.name == step);
    if let Some(place) = place {
        return Ok(Target::Step(detail.steps.swap_remove(place)));
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
            "{}; its steps are {}",
            program::command(&format!("{verb} {run}/{first}")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_tells_its_own_reason() {
        let step =
            json!({ "name": "g", "state": "failed", "reason": "output 'o' is empty", "job_id": "job_1" });
        let step: StepView = serde_json::from_value(step).unwrap();
        assert!(!follows_its_job(&step));
        assert_eq!(in_words(&step), "step 'g' failed: output 'o' is empty");
    }

    #[test]
    fn a_reused_step_names_the_run_that_has_its_log() {
        let step = json!({ "name": "split", "state": "reused", "cached_from": "run_1" });
        let error = no_log("run_2/split", &serde_json::from_value(step).unwrap(), "logs");
        assert_eq!(
            error.report.message,
            "it has no log: step 'split' is reused from run_1"
        );
        assert_eq!(
            error.report.hint.as_deref(),
            Some("the run that made its result has the log: corliss logs run_1/split")
        );
    }
}

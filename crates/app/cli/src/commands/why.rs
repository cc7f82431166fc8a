//! `corliss why`: one sentence on why a job waits, runs or failed.

use serde_json::Value;

use crate::api::{Api, segment};
use crate::args::WhyArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::output;
use crate::views::{RunDetail, Why};

/// Explains.
pub fn run(context: &Context, args: &WhyArgs) -> CliResult {
    let api = context.api()?;
    let job = job_of(&api, &args.target)?;
    let answer: Value = api.get(&format!("/api/v1/jobs/{}/why", segment(&job)))?;
    context.answer(answer, |why: Why| {
        output::say(&why.summary);
        if let Some(position) = why.position {
            output::say(&format!(
                "Place {position} in the queue, waiting for {}.",
                output::duration(why.waiting_ms)
            ));
        }
    })
}

/// The job behind `JOB` or `RUN/STEP`.
pub fn job_of(api: &Api, target: &str) -> CliResult<String> {
    let Some((run, step)) = target.split_once('/') else {
        return Ok(target.to_owned());
    };
    let detail: RunDetail = api.get(&format!("/api/v1/runs/{}", segment(run)))?;
    let names: Vec<&str> = detail.steps.iter().map(|step| step.name.as_str()).collect();
    let Some(found) = detail.steps.iter().find(|candidate| candidate.name == step) else {
        let error = CliError::new(
            EXIT_NOT_FOUND,
            "step_not_found",
            format!("{run} has no step '{step}'"),
        );
        return Err(match corliss_diagnostics::nearest(step, names.iter().copied()) {
            Some(name) => error.hint(format!("did you mean '{name}'?")),
            None => error.hint(format!("its steps are {}", names.join(", "))),
        });
    };
    found.job_id.clone().ok_or_else(|| {
        let reason = found
            .reason
            .clone()
            .unwrap_or_else(|| format!("it is {}", found.state));
        CliError::new(
            EXIT_NOT_FOUND,
            "no_job",
            format!("step '{step}' has no job: {reason}"),
        )
    })
}

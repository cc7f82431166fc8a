//! Follows a run to its end, and then its endpoints until they are ready: a live screen on a terminal, plain
//! lines elsewhere, one JSON object at the end with `--json`.
//!
//! It asks again instead of listening, so that a server that restarts meanwhile is only a pause.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::outcome;
use super::view::View;
use crate::api::{Api, segment};
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::link::{self, Link};
use crate::readiness::{self, Readiness};
use crate::views::{RunDetail, RunEndpoint};
use crate::{interrupt, output, program};

const POLL: Duration = Duration::from_millis(100);

/// After a submission: print the id and return, or follow.
pub fn submitted(context: &Context, api: Api, run_id: &str, detach: bool) -> CliResult {
    if !detach {
        return follow(context, api, run_id);
    }
    if context.json {
        output::say_json(&json!({ "id": run_id }));
    } else {
        output::say(run_id);
        output::say(&format!("follow it at {}/runs/{run_id}", api.url()));
    }
    Ok(())
}

fn follow(context: &Context, api: Api, run_id: &str) -> CliResult {
    interrupt::on_interrupt(interrupt::run_goes_on(run_id));
    let mut link = Link::new(context, api, "the run", format!("runs show {run_id}"));
    let mut view = View::new(context, &link, run_id);
    let (mut answer, mut run) = until_ended(&mut link, &mut view, run_id)?;
    let mut waited = Ok(());
    if run.summary.state == "succeeded" {
        waited = until_ready(&mut link, &mut view, &mut run);
        note_endpoints(&mut answer, &run.endpoints);
    }
    view.look(&link, &run);
    let live = view.finish(&run);
    if context.json {
        output::say_json(&answer);
    } else if waited.is_ok() {
        outcome::tell(link.api(), &run, live);
    }
    waited.and_then(|()| verdict(&run))
}

/// Asks for something until the server, which may be away for a while, answers.
fn ask(link: &mut Link, view: &mut View, path: &str) -> CliResult<Value> {
    loop {
        let answer = link.get(path)?;
        view.tell(link);
        match answer {
            Some(answer) => return Ok(answer),
            None => std::thread::sleep(link::PAUSE),
        }
    }
}

fn until_ended(link: &mut Link, view: &mut View, run_id: &str) -> CliResult<(Value, RunDetail)> {
    let path = format!("/api/v1/runs/{}", segment(run_id));
    loop {
        let answer = ask(link, view, &path)?;
        let mut run: RunDetail = typed(answer.clone())?;
        if run.ended() {
            return Ok((answer, run));
        }
        deployed_is_deploying(&mut run);
        view.look(link, &run);
        std::thread::sleep(POLL);
    }
}

/// To the run an endpoint is done when what it should be is stored. To whoever waits, it begins then.
fn deployed_is_deploying(run: &mut RunDetail) {
    for endpoint in &mut run.endpoints {
        if endpoint.state == "deployed" {
            "deploying".clone_into(&mut endpoint.state);
        }
    }
}

/// Waits until each endpoint that the run has deployed is ready, or has failed.
fn until_ready(link: &mut Link, view: &mut View, run: &mut RunDetail) -> CliResult {
    deployed_is_deploying(run);
    let started = Instant::now();
    loop {
        let waits = |endpoint: &&mut RunEndpoint| endpoint.state == "deploying";
        for endpoint in run.endpoints.iter_mut().filter(waits) {
            interrupt::on_interrupt(readiness::goes_on(&endpoint.name));
            link.follows("the endpoint", format!("endpoints show {}", endpoint.name));
            let answer = ask(link, view, &readiness::path(&endpoint.name))?;
            look_at(endpoint, answer)?;
        }
        let Some(waiting) = run.endpoints.iter().find(|one| one.state == "deploying") else {
            return Ok(());
        };
        view.look(link, run);
        if started.elapsed() > readiness::DEADLINE {
            return Err(readiness::late(&waiting.name));
        }
        std::thread::sleep(POLL);
    }
}

fn look_at(endpoint: &mut RunEndpoint, answer: Value) -> CliResult {
    let served = typed(answer)?;
    let (state, reason) = match readiness::of(&served) {
        Readiness::Ready => ("ready", None),
        Readiness::Failed(reason) => ("failed", Some(reason)),
        Readiness::Deploying => ("deploying", served.reason),
    };
    state.clone_into(&mut endpoint.state);
    endpoint.reason = reason;
    Ok(())
}

/// The answer says of each endpoint what was waited for.
fn note_endpoints(answer: &mut Value, endpoints: &[RunEndpoint]) {
    let Some(noted) = answer.get_mut("endpoints").and_then(Value::as_array_mut) else {
        return;
    };
    for (noted, endpoint) in noted.iter_mut().filter_map(Value::as_object_mut).zip(endpoints) {
        noted.insert("state".to_owned(), json!(endpoint.state));
        if let Some(reason) = &endpoint.reason {
            noted.insert("reason".to_owned(), json!(reason));
        }
    }
}

fn verdict(run: &RunDetail) -> CliResult {
    let state = run.summary.state.as_str();
    if state != "succeeded" {
        let reason = run.reason.clone().unwrap_or_else(|| first_failure(run));
        return Err(CliError::failed(format!("{} {state}: {reason}", run.summary.id)).hint(hint(run)));
    }
    match run.endpoints.iter().find(|endpoint| endpoint.state == "failed") {
        Some(endpoint) => Err(readiness::failed(
            &endpoint.name,
            endpoint.reason.as_deref().unwrap_or("it gave no reason"),
        )),
        None => Ok(()),
    }
}

fn first_failure(run: &RunDetail) -> String {
    let failed = run.steps.iter().find(|step| step.state == "failed");
    failed.map_or_else(
        || "no step says why".to_owned(),
        |step| {
            let reason = step.reason.as_deref().unwrap_or("it gave no reason");
            format!("step '{}': {reason}", step.name)
        },
    )
}

fn hint(run: &RunDetail) -> String {
    let id = &run.summary.id;
    match run.steps.iter().find(|step| step.state == "failed") {
        Some(step) => format!(
            "{} shows what it wrote; {} goes on from there",
            program::command(&format!("logs {id}/{}", step.name)),
            program::command(&format!("runs rerun {id}"))
        ),
        None => program::command(&format!("runs show {id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(endpoint: &str) -> RunDetail {
        let run = json!({
            "id": "run_1", "project": "p", "state": "succeeded", "created_ms": 0, "steps": [],
            "endpoints": [{ "name": "e", "state": endpoint, "reason": "no memory" }],
        });
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_run_is_not_done_before_its_endpoints_are() {
        let mut stored = run("deployed");
        deployed_is_deploying(&mut stored);
        assert_eq!(stored.endpoints[0].state, "deploying");
        assert!(verdict(&run("ready")).is_ok());
        let error = verdict(&run("failed")).unwrap_err();
        assert_eq!(error.report.message, "endpoint 'e' failed: no memory");
        assert_eq!(error.report.hint.as_deref(), Some("corliss endpoints show e"));
        assert_eq!(error.exit_code, crate::error::EXIT_FAILED);
    }

    #[test]
    fn the_json_answer_says_what_was_waited_for() {
        let mut answer = json!({ "endpoints": [{ "name": "e", "state": "deployed" }] });
        note_endpoints(&mut answer, &run("failed").endpoints);
        assert_eq!(answer["endpoints"][0]["state"], "failed");
        assert_eq!(answer["endpoints"][0]["reason"], "no memory");
    }
}

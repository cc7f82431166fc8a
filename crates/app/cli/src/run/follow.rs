//! Follows a run to its end: a live screen on a terminal, plain lines elsewhere, one JSON object at the end
//! with `--json`.
//!
//! It asks again instead of listening, so that a server that restarts meanwhile is only a pause.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::outcome;
use super::screen::Screen;
use super::watch::{LogTail, Plain};
use crate::api::{Api, segment};
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult, EXIT_UNREACHABLE};
use crate::views::RunDetail;
use crate::{interrupt, output};

const POLL: Duration = Duration::from_millis(100);
const SERVER_AWAY: Duration = Duration::from_secs(60);

/// After a submission: print the id and return, or follow.
pub fn submitted(context: &Context, api: &Api, run_id: &str, detach: bool) -> CliResult {
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

fn follow(context: &Context, api: &Api, run_id: &str) -> CliResult {
    let live = !context.json && std::io::stdout().is_terminal();
    interrupt::on_interrupt(interrupt::run_goes_on(run_id));
    let mut screen = Screen::new(format!("{}/runs/{run_id}", api.url()));
    let mut plain = Plain::new();
    let mut logs = LogTail::new();
    if !context.json && !live {
        output::say(&format!(
            "{run_id} submitted; console {}/runs/{run_id}",
            api.url()
        ));
    }
    let mut last_seen = Instant::now();
    loop {
        let answer: Value = match api.get(&format!("/api/v1/runs/{}", segment(run_id))) {
            Ok(answer) => answer,
            Err(error) if error.exit_code == EXIT_UNREACHABLE && last_seen.elapsed() < SERVER_AWAY => {
                std::thread::sleep(POLL);
                continue;
            }
            Err(error) => return Err(error),
        };
        last_seen = Instant::now();
        let run: RunDetail = typed(answer.clone())?;
        if live {
            logs.poll(api, &run, |step, line| screen.log(step, line));
            screen.draw(&run, run.ended());
        } else if !context.json {
            plain.look(api, &mut logs, &run);
        }
        if run.ended() {
            drop(screen);
            if !context.json {
                outcome::tell(api, &run, live);
            }
            return end(context, &answer, &run);
        }
        std::thread::sleep(POLL);
    }
}

fn end(context: &Context, answer: &Value, run: &RunDetail) -> CliResult {
    if context.json {
        output::say_json(answer);
    }
    match run.summary.state.as_str() {
        "succeeded" => Ok(()),
        state => {
            let reason = run.reason.clone().unwrap_or_else(|| first_failure(run));
            Err(CliError::failed(format!("{} {state}: {reason}", run.summary.id)).hint(hint(run)))
        }
    }
}

fn first_failure(run: &RunDetail) -> String {
    let failed = run.steps.iter().find(|step| step.state == "failed");
    failed.map_or_else(
        || "no step says why".to_owned(),
        |step| {
            let reason = step
                .reason
                .clone()
                .unwrap_or_else(|| "it gave no reason".to_owned());
            format!("step '{}': {reason}", step.name)
        },
    )
}

fn hint(run: &RunDetail) -> String {
    let id = &run.summary.id;
    match run.steps.iter().find(|step| step.state == "failed") {
        Some(step) => {
            format!(
                "corliss logs {id}/{} shows what it wrote; corliss runs rerun {id} goes on from there",
                step.name
            )
        }
        None => format!("corliss runs show {id}"),
    }
}

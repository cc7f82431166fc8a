//! Changing queues or nodes: what would follow for jobs is said, and asked about where it harms any, before it is done.

use std::path::Path;

use corliss_jobs::{Affected, Effect};
use serde_json::Value;

use crate::confirm::confirm;
use crate::context::{Context, typed};
use crate::error::CliResult;
use crate::output;
use crate::settings_file;

/// The settings of a file, in the form in which `show --json` prints them too.
pub fn read(file: &Path, what: &str, example: &str) -> CliResult<Value> {
    let mut settings = settings_file::read(file, |error| {
        error.hint(format!(
            "it holds all {what}, such as {example}, as `corliss admin {what} show --json` prints them"
        ))
    })?;
    // What is printed has how they are used beside them.
    Ok(match settings.get_mut("settings") {
        Some(shown) => shown.take(),
        None => settings,
    })
}

/// Makes the settings those at the path; `what` they are is for sentences.
pub fn apply(
    context: &Context,
    path: &str,
    what: &str,
    settings: &Value,
    dry_run: bool,
    yes: bool,
) -> CliResult {
    let api = context.api()?;
    let preview: Value = api.put(&format!("{path}?dry_run=true"), settings)?;
    if dry_run {
        return context.answer(preview, |effect: Effect| tell(&effect, "would", output::say));
    }
    let effect: Effect = typed(preview)?;
    let harms = !effect.stops.is_empty() || !effect.refusals.is_empty();
    if harms && !yes {
        if !context.json {
            tell(&effect, "would", output::complain);
        }
        confirm(&format!("Change the {what} all the same?"))?;
    }
    let answer: Value = api.put(path, settings)?;
    context.answer(answer, |effect: Effect| {
        output::say(&format!("The {what} are changed."));
        tell(&effect, "will", output::say);
    })
}

/// What follows from a change, a line for each job.
fn tell(effect: &Effect, verb: &str, say: fn(&str)) {
    let parts = [
        ("start", &effect.starts),
        ("be stopped", &effect.stops),
        ("fail, because it could never start:", &effect.refusals),
    ];
    for (what, jobs) in parts {
        for Affected { job_id, name, reason } in jobs {
            let reason = reason
                .as_deref()
                .map_or_else(String::new, |reason| format!(" {reason}"));
            say(&format!("'{name}' ({job_id}) {verb} {what}{reason}"));
        }
    }
    if parts.iter().all(|(_, jobs)| jobs.is_empty()) {
        say(&format!("No job {verb} start, stop or fail by it at once."));
    }
}

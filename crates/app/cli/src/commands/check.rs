//! `corliss check`: every problem of a project file, without a server.

use serde_json::json;

use crate::args::CheckArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output;
use crate::run::project;
use crate::units;

/// Reads and checks the file.
pub fn run(context: &Context, args: &CheckArgs) -> CliResult {
    let loaded =
        project::load(&args.file).map_err(|error| if context.json { as_answer(error) } else { error })?;
    let (file, steps) = (args.file.display().to_string(), loaded.project.steps.len());
    if context.json {
        output::say_json(&json!({ "file": file, "problems": [], "steps": steps }));
    } else {
        let steps = units::plural(steps as u64, "step");
        output::say(&format!("{file}: {steps}, no problems."));
    }
    Ok(())
}

/// The problems are what was asked for, so they go to standard output, in the shape of a good file's answer.
fn as_answer(error: CliError) -> CliError {
    match &error.problems {
        Some(problems) => {
            output::say_json(&json!({ "file": problems.file, "problems": problems.list }));
            error.told()
        }
        None => error,
    }
}

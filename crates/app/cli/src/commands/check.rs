//! `corliss check`: every problem of a project file, without a server.

use serde_json::json;

use crate::args::CheckArgs;
use crate::context::Context;
use crate::error::CliResult;
use crate::output;
use crate::run::project;
use crate::units;

/// Reads and checks the file.
pub fn run(context: &Context, args: &CheckArgs) -> CliResult {
    let loaded = project::load(&args.file, context.json)?;
    let steps = loaded.project.steps.len();
    if context.json {
        output::say_json(&json!({ "file": args.file, "problems": [], "steps": steps }));
    } else {
        let steps = units::plural(steps as u64, "step");
        output::say(&format!("{}: {steps}, no problems.", args.file.display()));
    }
    Ok(())
}

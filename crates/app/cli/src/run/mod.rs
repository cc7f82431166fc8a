//! `corliss run`: read the project file, upload what it names, submit, follow.

pub mod follow;
mod foresee;
mod outcome;
pub mod project;
mod screen;
mod submit;
mod view;
mod watch;

use crate::args::RunArgs;
use crate::context::Context;
use crate::error::CliResult;

/// Submits a project file and follows the run unless told not to.
pub fn run(context: &Context, args: &RunArgs) -> CliResult {
    let api = context.api()?;
    if args.dry_run {
        return foresee::run(context, &api, args);
    }
    let run_id = submit::submit(context, &api, args)?;
    follow::submitted(context, api, &run_id, args.detach)
}

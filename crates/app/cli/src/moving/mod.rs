//! `corliss experiments import …`: moving in from another tracker. The source is read here, where the user's files are, and
//! sent to the server in steps that may be repeated; at the end both sides are counted and compared.

mod artifacts;
mod content;
mod mlflow;
mod models;
mod mover;
mod names;
mod registry;
mod report;
mod server;
mod tensorboard;

use corliss_mlflow_store::SourceError;

use crate::args::ImportFrom;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_FAILED, EXIT_UNREACHABLE};
use crate::interrupt;

/// Dispatches.
pub fn run(context: &Context, from: &ImportFrom) -> CliResult {
    interrupt::on_interrupt("what was sent is kept: the same command goes on from there".to_owned());
    match from {
        ImportFrom::Mlflow(args) => mlflow::run(context, args),
        ImportFrom::Tensorboard(args) => tensorboard::run(context, args),
    }
}

/// An error of the source, which ends the command.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn failed(error: SourceError) -> CliError {
    let mut error = CliError::diagnosed(&error);
    if error.exit_code == EXIT_UNREACHABLE {
        // That code is for the server of Corliss: scripts start it, and try again.
        error.exit_code = EXIT_FAILED;
    }
    error
}

/// The hint for an experiment whose name is taken here.
fn taken(error: CliError, hint: &str) -> CliError {
    match error.report.code.as_str() {
        "import_experiment_taken" => error.hint(hint),
        _ => error,
    }
}

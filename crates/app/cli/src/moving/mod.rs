//! `corliss experiments import …`: moving in from another tracker. The source is read here, where the user's files are, and
//! sent to the server in steps that may be repeated; at the end both sides are counted.

mod artifacts;
mod mlflow;
mod mover;
mod registry;
mod report;
mod server;
mod tensorboard;

use crate::args::ImportFrom;
use crate::context::Context;
use crate::error::CliResult;
use crate::interrupt;

/// Dispatches.
pub fn run(context: &Context, from: &ImportFrom) -> CliResult {
    interrupt::on_interrupt("what was sent is kept: the same command goes on from there".to_owned());
    match from {
        ImportFrom::Mlflow(args) => mlflow::run(context, args),
        ImportFrom::Tensorboard(args) => tensorboard::run(context, args),
    }
}

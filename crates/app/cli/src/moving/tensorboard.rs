//! From event files of TensorBoard.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use corliss_mlflow_store::{EventFiles, Point, Run, SourceError};
use serde_json::json;

use super::artifacts::Files;
use super::mover::{Mover, Supply};
use super::report::Report;
use super::server::Server;
use crate::args::ImportTensorboardArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult};

/// Where runs are said to come from: wherever their folder lies, they are the same.
const SOURCE: &str = "tensorboard";

/// Moves in what the event files hold.
pub fn run(context: &Context, args: &ImportTensorboardArgs) -> CliResult {
    let found = EventFiles::open(&args.folder).map_err(|error| CliError::diagnosed(&error))?;
    let server = Server {
        api: context.api()?,
        source: SOURCE.to_owned(),
    };
    let moved = server.experiment(&json!({
        "source": SOURCE, "source_id": args.experiment, "name": args.experiment, "merge": args.merge,
        "dry_run": args.dry_run,
    }));
    let moved = moved.map_err(|error| match error.report.code.as_str() {
        "import_experiment_taken" => {
            error.hint("add to it with --merge, or name another one with --experiment")
        }
        _ => error,
    })?;
    let mut mover = Mover::new(&server, found.count() as u64, args.dry_run);
    mover.report.source.experiments += 1;
    mover.report.here.experiments += u64::from(moved.experiment_id.is_some());
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    for run in found.runs(&args.experiment) {
        let run = run.map_err(|error| CliError::diagnosed(&error))?;
        for (kind, count) in run.left_out {
            *left_out.entry(kind).or_default() += count;
        }
        run.damage
            .into_iter()
            .for_each(|text| mover.report.differences.add(text));
        for text in run.notices {
            mover.report.notices.add(format!("{}: {text}", run.run.name));
        }
        let mut supply = FromFiles { points: run.points };
        mover.page(moved.experiment_id, vec![run.run], &mut supply)?;
    }
    for (kind, count) in left_out {
        mover.report.notices.add(format!(
            "{count} values of the kind '{kind}' were left out: scalars and hparams are moved in"
        ));
    }
    mover.finish().finish(context, args.dry_run)
}

/// The points of one run.
struct FromFiles {
    points: BTreeMap<String, Vec<Point>>,
}

impl Supply for FromFiles {
    fn points(
        &mut self,
        _run: &Run,
        each: &mut dyn FnMut(Point) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        for point in std::mem::take(&mut self.points).into_values().flatten() {
            if each(point).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn files(&mut self, _run: &Run, _report: &mut Report) -> CliResult<Files> {
        Ok(Files::default())
    }
}

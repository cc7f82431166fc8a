//! From event files of TensorBoard.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use corliss_mlflow_store::{EventFiles, Point, Run, SourceError};
use serde_json::json;

use super::artifacts::Files;
use super::mover::{Mover, Supply, Way};
use super::report::Report;
use super::server::Server;
use super::{failed, taken};
use crate::args::ImportTensorboardArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult};

/// Where runs are said to come from: wherever their folder lies, they are the same.
const SOURCE: &str = "tensorboard";

/// Moves in what the event files hold.
pub fn run(context: &Context, args: &ImportTensorboardArgs) -> CliResult {
    let found = EventFiles::open(&args.folder).map_err(failed)?;
    let server = Server {
        api: context.api()?,
        source: SOURCE.to_owned(),
    };
    let moved = server.experiment(&json!({
        "source": SOURCE, "source_id": args.experiment, "name": args.experiment, "merge": args.merge,
        "dry_run": args.dry_run,
    }));
    let hint = "add to it with --merge, or name another one with --experiment";
    let moved = moved.map_err(|error| taken(error, hint))?;
    if moved.is_deleted {
        return Err(
            CliError::failed(format!("the experiment '{}' was deleted here", args.experiment))
                .hint("restore it, or name another one with --experiment"),
        );
    }
    let way = Way {
        dry_run: args.dry_run,
        verify: false,
    };
    let mut mover = Mover::new(&server, found.count() as u64, way);
    for error in found.left_out() {
        mover.report.left_out(&error.to_string());
    }
    mover.report.source.experiments += 1;
    mover.report.here.experiments += u64::from(moved.experiment_id.is_some());
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    for run in found.runs(&args.experiment) {
        let run = match run {
            Ok(run) => run,
            Err(error) if error.is_of_a_part() => {
                mover.report.left_out(&error.to_string());
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        for (kind, count) in run.left_out {
            *left_out.entry(kind).or_default() += count;
        }
        run.damage
            .into_iter()
            .for_each(|text| mover.report.differences.add(&text));
        for text in run.notices {
            mover.report.notices.add(&format!("{}: {text}", run.run.name));
        }
        let mut supply = FromFiles { points: run.points };
        mover.page(moved.experiment_id, vec![run.run], &mut supply)?;
    }
    for (kind, count) in left_out {
        mover.report.notices.add(&format!(
            "{count} values of the kind '{kind}' were left out: scalars and hparams are moved in"
        ));
    }
    mover.finish().finish(context, way)
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
        for point in self.points.values().flatten() {
            if each(point.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn files(&mut self, _run: &Run, _report: &mut Report) -> Files {
        Files::default()
    }
}

//! From a store of MLflow.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use corliss_diagnostics::nearest;
use corliss_mlflow_store::{
    DEFAULT_WORKSPACE, Experiment, Location, LoggedModel, MlflowStore, Point, Remark, Run, SourceError, open,
};
use serde_json::json;

use super::artifacts::{Artifacts, Files};
use super::mover::{Mover, Supply, Way};
use super::report::{Group, Report};
use super::server::{Moved, PAGE, Server, pairs};
use super::{failed, models, registry, taken};
use crate::args::ImportMlflowArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::output;

/// An experiment of the source, and what it has.
struct Chosen {
    experiment: Experiment,
    /// Its name here.
    name: String,
    run_ids: Vec<String>,
    models: Vec<LoggedModel>,
}

/// Moves in what the store has.
pub fn run(context: &Context, args: &ImportMlflowArgs) -> CliResult {
    if args.into.is_some() && args.experiment.len() != 1 {
        return Err(CliError::input(
            "--into names one experiment, so --experiment must choose one",
        ));
    }
    if let Some(folder) = args.artifacts.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(CliError::input(format!(
            "--artifacts {} is no folder",
            folder.display()
        )));
    }
    let location: Location = args.store.parse().map_err(failed)?;
    let mut store = open(&location, &args.workspace, &mut |text| output::complain(text)).map_err(failed)?;
    let source = match args.workspace.as_str() {
        DEFAULT_WORKSPACE => location.to_string(),
        other => format!("{location} workspace {other}"),
    };
    let server = Server {
        api: context.api()?,
        source,
    };
    let way = Way {
        dry_run: args.dry_run,
        verify: args.verify,
    };
    let chosen = choose(store.as_mut(), args)?;
    let experiments = places(&server, args, &chosen)?;
    let total = chosen.iter().map(|one| one.run_ids.len() as u64).sum();
    let mut mover = Mover::new(&server, total, way);
    let mut artifacts = Artifacts::new(args.artifacts.as_deref(), !args.no_artifacts);
    let mut moved = BTreeSet::new();
    for (one, place) in chosen.iter().zip(experiments) {
        mover.report.source.experiments += 1;
        mover.report.here.experiments += u64::from(place.experiment_id.is_some());
        if place.is_deleted && !one.experiment.is_deleted {
            mover.report.deleted_experiments += 1;
            mover.report.notices.add(&format!(
                "the experiment '{}' was deleted here, so nothing of it is moved in: restore it, and run this again",
                one.name
            ));
            continue;
        }
        models::move_all(&mut mover, &mut artifacts, place.experiment_id, &one.models)?;
        for ids in one.run_ids.chunks(PAGE) {
            let runs = store.runs(&one.experiment.id, ids).map_err(failed)?;
            let mut supply = FromStore {
                store: store.as_mut(),
                artifacts: &mut artifacts,
                experiment: &one.experiment.id,
            };
            mover.page(place.experiment_id, runs, &mut supply)?;
        }
        if !args.experiment.is_empty() {
            moved.extend(one.run_ids.iter().cloned());
            moved.extend(one.models.iter().map(|model| model.model_id.clone()));
        }
    }
    let wanted = (!args.experiment.is_empty()).then_some(&moved);
    registry::move_models(&mut mover, store.as_mut(), wanted, &artifacts)?;
    let mut report = mover.finish();
    tell(store.remarks(), &mut report);
    artifacts.tell(&mut report);
    report.finish(context, way)
}

/// Tells what the store said beside what it gave.
fn tell(remarks: Vec<Remark>, report: &mut Report) {
    let mut unfinished = Group::default();
    for remark in remarks {
        match remark {
            Remark::LeftOut(text) => report.left_out(&text),
            Remark::Unfinished(path) => unfinished.add(&path.display().to_string()),
        }
    }
    if unfinished.count() > 0 {
        report.notices.add(&format!(
            "{} not finished yet, as the last line of {} has no end: another import brings what is written then",
            match unfinished.count() {
                1 => "1 point is".to_owned(),
                many => format!("{many} points are"),
            },
            unfinished.names()
        ));
    }
}

/// The experiments to move: those that were asked for, or all but an empty `Default`, which is everywhere.
fn choose(store: &mut dyn MlflowStore, args: &ImportMlflowArgs) -> CliResult<Vec<Chosen>> {
    let all = store.experiments().map_err(failed)?;
    for asked in &args.experiment {
        if !all.iter().any(|one| one.name == *asked || one.id == *asked) {
            let error = CliError::new(
                EXIT_NOT_FOUND,
                "experiment_not_found",
                format!("the source has no experiment '{asked}'"),
            );
            return Err(match nearest(asked, all.iter().map(|one| one.name.as_str())) {
                Some(name) => error.hint(format!("did you mean '{name}'?")),
                None => error.hint("leave --experiment out to move in all of them"),
            });
        }
    }
    let mut chosen = Vec::new();
    for experiment in all {
        let is_asked = |asked: &String| *asked == experiment.name || *asked == experiment.id;
        if !args.experiment.is_empty() && !args.experiment.iter().any(is_asked) {
            continue;
        }
        let run_ids = store.run_ids(&experiment.id).map_err(failed)?;
        let models = store.logged_models(&experiment.id).map_err(failed)?;
        if experiment.name == "Default" && run_ids.is_empty() && models.is_empty() {
            continue;
        }
        chosen.push(Chosen {
            name: args.into.clone().unwrap_or_else(|| experiment.name.clone()),
            experiment,
            run_ids,
            models,
        });
    }
    Ok(chosen)
}

fn wish(server: &Server, args: &ImportMlflowArgs, one: &Chosen, dry_run: bool) -> serde_json::Value {
    let experiment = &one.experiment;
    json!({
        "source": server.source, "source_id": experiment.id, "name": one.name, "merge": args.merge,
        "is_deleted": experiment.is_deleted, "created_ms": experiment.created_ms,
        "updated_ms": experiment.updated_ms, "tags": pairs(&experiment.tags), "dry_run": dry_run,
    })
}

/// Where the experiments go: all are looked at first, so that what cannot be moved is told before anything is; then their
/// names are taken, before anything is sent.
fn places(server: &Server, args: &ImportMlflowArgs, chosen: &[Chosen]) -> CliResult<Vec<Moved>> {
    let place = |one: &Chosen, dry_run: bool| {
        let hint = format!(
            "add to it with --merge, or move it in under another name: --experiment '{}' --into NAME",
            one.experiment.name
        );
        let found = server.experiment(&wish(server, args, one, dry_run));
        found.map_err(|error| taken(error, &hint))
    };
    let looked: Vec<Moved> = chosen
        .iter()
        .map(|one| place(one, true))
        .collect::<CliResult<_>>()?;
    for (one, looked) in chosen.iter().zip(&looked) {
        if args.into.as_ref().is_some_and(|into| *into != looked.name) {
            return Err(CliError::input(format!(
                "the experiment '{}' of the source was moved into '{}' before, and its runs stay there",
                one.experiment.name, looked.name
            ))
            .hint("leave --into out to go on there"));
        }
    }
    if args.dry_run {
        return Ok(looked);
    }
    let one_by_one = chosen.iter().zip(looked).map(|(one, looked)| {
        // Nothing goes into one that is deleted here, not even its name.
        match looked.is_deleted && !one.experiment.is_deleted {
            true => Ok(looked),
            false => place(one, false),
        }
    });
    one_by_one.collect()
}

/// What a store gives of the runs of an experiment.
struct FromStore<'a> {
    store: &'a mut dyn MlflowStore,
    artifacts: &'a mut Artifacts,
    experiment: &'a str,
}

impl Supply for FromStore<'_> {
    fn points(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(Point) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        self.store.points(self.experiment, &run.run_id, each)
    }

    fn files(&mut self, run: &Run, report: &mut Report) -> Files {
        self.artifacts.files_of(&run.run_id, &run.artifact_uri, report)
    }
}

//! From a store of MLflow.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use corliss_diagnostics::nearest;
use corliss_mlflow_store::{Experiment, Location, LoggedModel, MlflowStore, Point, Run, SourceError, open};
use serde_json::json;

use super::artifacts::{self, Artifacts, Files};
use super::mover::{Mover, Supply};
use super::registry;
use super::report::Report;
use super::server::{PAGE, Server, pairs};
use crate::args::ImportMlflowArgs;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};

/// The workspace that every store has.
const WORKSPACE: &str = "default";

fn failed(error: SourceError) -> CliError {
    CliError::diagnosed(&error)
}

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
    let mut store = open(&location, &args.workspace).map_err(failed)?;
    let source = match args.workspace.as_str() {
        WORKSPACE => location.to_string(),
        other => format!("{location} workspace {other}"),
    };
    let server = Server {
        api: context.api()?,
        source,
    };
    let chosen = choose(store.as_mut(), args)?;
    let experiments = look(&server, args, &chosen)?;
    let total = chosen.iter().map(|one| one.run_ids.len() as u64).sum();
    let mut mover = Mover::new(&server, total, args.dry_run);
    let mut artifacts = Artifacts::new(args.artifacts.as_deref(), !args.no_artifacts);
    let mut moved = BTreeSet::new();
    for (one, known) in chosen.iter().zip(experiments) {
        let experiment = match args.dry_run {
            true => known,
            false => server.experiment(&wish(&server, args, one, false))?.experiment_id,
        };
        mover.report.source.experiments += 1;
        mover.report.here.experiments += u64::from(experiment.is_some());
        move_models(&mut mover, &mut artifacts, experiment, &one.models)?;
        for ids in one.run_ids.chunks(PAGE) {
            let runs = store.runs(&one.experiment.id, ids).map_err(failed)?;
            let mut supply = FromStore {
                store: store.as_mut(),
                artifacts: &mut artifacts,
                experiment: &one.experiment.id,
            };
            mover.page(experiment, runs, &mut supply)?;
        }
        if !args.experiment.is_empty() {
            moved.extend(one.run_ids.iter().cloned());
            moved.extend(one.models.iter().map(|model| model.model_id.clone()));
        }
    }
    let wanted = (!args.experiment.is_empty()).then_some(&moved);
    registry::move_models(&mut mover, store.as_mut(), wanted)?;
    let mut report = mover.finish();
    artifacts.tell(&mut report);
    report.finish(context, args.dry_run)
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

/// Where the experiments went before, or would go: what cannot be moved is told before anything is.
fn look(server: &Server, args: &ImportMlflowArgs, chosen: &[Chosen]) -> CliResult<Vec<Option<i64>>> {
    chosen
        .iter()
        .map(|one| match server.experiment(&wish(server, args, one, true)) {
            Ok(moved) => Ok(moved.experiment_id),
            Err(error) if error.report.code == "import_experiment_taken" => Err(error.hint(format!(
                "add to it with --merge, or move it in under another name: --experiment '{}' --into NAME",
                one.experiment.name
            ))),
            Err(error) => Err(error),
        })
        .collect()
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

    fn files(&mut self, run: &Run, report: &mut Report) -> CliResult<Files> {
        self.artifacts.files_of(&run.run_id, &run.artifact_uri, report)
    }
}

/// Moves logged models with their files.
fn move_models(
    mover: &mut Mover<'_>,
    artifacts: &mut Artifacts,
    experiment: Option<i64>,
    models: &[LoggedModel],
) -> CliResult {
    for some in models.chunks(PAGE) {
        let mut files = Vec::new();
        for model in some {
            let found = artifacts.files_of(&model.model_id, &model.artifact_uri, &mut mover.report)?;
            mover.report.source.logged_models += 1;
            mover.report.source.artifacts += found.count();
            mover.report.source.artifact_bytes += found.bytes();
            files.push(found);
        }
        let ids: Vec<String> = some.iter().map(|model| model.model_id.clone()).collect();
        if let Some(experiment) = experiment.filter(|_| !mover.dry_run) {
            let before = mover.server.state(&[], &ids)?.models;
            let answer = mover.server.models(experiment, some)?;
            for refused in answer.refused {
                let told = format!("logged model {}: {}", refused.id, refused.message);
                mover.report.differences.add(told);
            }
            for taken in answer.taken {
                let Some(at) = ids.iter().position(|id| *id == taken.id) else {
                    continue;
                };
                let known = before.iter().find(|model| model.model_id == taken.id);
                let (count, bytes) = (files[at].count(), files[at].bytes());
                if known.is_some_and(|known| known.artifacts >= count && known.artifact_bytes >= bytes) {
                    continue;
                }
                let has_some = known.is_some_and(|known| known.artifacts > 0);
                let uri = &taken.artifact_uri;
                let (sent, bytes) =
                    artifacts::send(mover.server, &files[at], uri, has_some, &mut mover.report)?;
                mover.report.sent.artifacts += sent;
                mover.report.sent.artifact_bytes += bytes;
            }
        }
        for here in mover.server.state(&[], &ids)?.models {
            let counts = &mut mover.report.here;
            counts.logged_models += 1;
            counts.artifacts += here.artifacts;
            counts.artifact_bytes += here.artifact_bytes;
            let source = ids.iter().position(|id| *id == here.model_id);
            if let Some(source) = source.map(|at| files[at].count())
                && here.artifacts < source
                && !mover.dry_run
            {
                let told = format!(
                    "logged model {}: {source} artifacts in the source, {} here",
                    here.model_id, here.artifacts
                );
                mover.report.differences.add(told);
            }
        }
    }
    Ok(())
}

//! Logged models, with their files.

use std::collections::BTreeMap;

use corliss_mlflow_store::LoggedModel;

use super::artifacts::{Artifacts, Files, Unsent};
use super::mover::Mover;
use super::server::{ModelHere, PAGE};
use crate::error::CliResult;
use crate::units;

/// Moves the logged models of an experiment.
pub fn move_all(
    mover: &mut Mover<'_>,
    artifacts: &mut Artifacts,
    experiment: Option<i64>,
    models: &[LoggedModel],
) -> CliResult {
    for some in models.chunks(PAGE) {
        let with_files: Vec<(&LoggedModel, Files)> = some
            .iter()
            .map(|model| {
                let files = artifacts.files_of(&model.model_id, &model.artifact_uri, &mut mover.report);
                (model, files)
            })
            .collect();
        for (_, files) in &with_files {
            let counts = &mut mover.report.source;
            counts.logged_models += 1;
            counts.artifacts += files.count();
            counts.artifact_bytes += files.bytes();
        }
        let ids: Vec<String> = some.iter().map(|model| model.model_id.clone()).collect();
        let before = mover.server.state(&[], &ids)?.models;
        let unsent = match experiment {
            Some(experiment) => send(mover, experiment, some, &with_files, &before)?,
            None => BTreeMap::new(),
        };
        let here = mover.server.state(&[], &ids)?.models;
        for (model, files) in &with_files {
            let not = unsent.get(&model.model_id).copied().unwrap_or_default();
            compare(mover, experiment, (model, files), not, found(&here, model));
        }
    }
    Ok(())
}

fn found<'a>(here: &'a [ModelHere], model: &LoggedModel) -> Option<&'a ModelHere> {
    here.iter().find(|one| one.model_id == model.model_id)
}

fn send(
    mover: &mut Mover<'_>,
    experiment: i64,
    models: &[LoggedModel],
    with_files: &[(&LoggedModel, Files)],
    before: &[ModelHere],
) -> CliResult<BTreeMap<String, Unsent>> {
    let mut unsent = BTreeMap::new();
    if !mover.way.dry_run {
        let answer = mover.server.models(experiment, models)?;
        for refused in answer.refused {
            let told = format!("logged model {}: {}", refused.id, refused.message);
            mover.report.differences.add(&told);
        }
    }
    let there = match mover.way.dry_run {
        true => Vec::new(),
        false => {
            let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
            mover.server.state(&[], &ids)?.models
        }
    };
    for (model, files) in with_files {
        let known = found(before, model);
        let Some(place) = known.or_else(|| found(&there, model)) else {
            continue;
        };
        let is_whole = place.artifacts >= files.count() && place.artifact_bytes >= files.bytes();
        if place.experiment_id != experiment || is_whole && !mover.way.verify {
            continue;
        }
        let whose = format!("logged model {}", model.model_id);
        let not = mover.send_files(&whose, files, &place.artifact_uri, place.artifacts > 0)?;
        unsent.insert(model.model_id.clone(), not);
    }
    Ok(unsent)
}

fn compare(
    mover: &mut Mover<'_>,
    experiment: Option<i64>,
    (model, files): (&LoggedModel, &Files),
    unsent: Unsent,
    here: Option<&ModelHere>,
) {
    let Some(here) = here else { return };
    if experiment != Some(here.experiment_id) {
        if mover.way.dry_run {
            mover.report.differences.add(&format!(
                "logged model {} is here already, in the experiment {}",
                model.model_id, here.experiment_id
            ));
        }
        return;
    }
    let counts = &mut mover.report.here;
    counts.logged_models += 1;
    counts.artifacts += here.artifacts;
    counts.artifact_bytes += here.artifact_bytes;
    if here.artifacts + unsent.files < files.count() && !mover.way.dry_run {
        mover.report.differences.add(&format!(
            "logged model {}: {} in the source, {} here",
            model.model_id,
            units::plural(files.count(), "artifact"),
            here.artifacts
        ));
    }
}

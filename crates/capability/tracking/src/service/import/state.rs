//! What is here of runs and logged models: what is left to be moved in, and whether all of it came.

use std::collections::BTreeMap;

use corliss_metastore::Tx;

use super::super::Tracking;
use super::super::artifacts::path_of;
use super::check_count;
use crate::store::{Keys, RunRef};
use crate::types::LifecycleStage;
use crate::{TrackingError, limits, store};

/// What is here of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// The run.
    pub run_id: String,
    /// The digest it was finished with; empty if it was begun only; none if it was not moved in.
    pub digest: Option<String>,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Where its artifacts lie.
    pub artifact_uri: String,
    /// Parameters.
    pub params: u64,
    /// Tags.
    pub tags: u64,
    /// Datasets it read.
    pub datasets: u64,
    /// Points of each metric, by name.
    pub points: BTreeMap<String, u64>,
    /// Files of artifacts.
    pub artifacts: u64,
    /// Bytes of these.
    pub artifact_bytes: u64,
}

/// What is here of a logged model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelState {
    /// The model.
    pub model_id: String,
    /// Where its files lie.
    pub artifact_uri: String,
    /// Files.
    pub artifacts: u64,
    /// Bytes of these.
    pub artifact_bytes: u64,
}

/// What is here of what was asked about; what is not here is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovedIn {
    /// Runs.
    pub runs: Vec<RunState>,
    /// Logged models.
    pub models: Vec<ModelState>,
}

impl Tracking {
    /// What is here of these runs and logged models.
    ///
    /// # Errors
    /// The call names too many, or the store failed.
    pub async fn import_state(
        &self,
        run_ids: Vec<String>,
        model_ids: Vec<String>,
    ) -> Result<MovedIn, TrackingError> {
        check_count(
            "runs and models",
            run_ids.len() + model_ids.len(),
            limits::IMPORT_RUNS,
        )?;
        let keys = self.keys.clone();
        self.store
            .read(move |tx| {
                Ok(MovedIn {
                    runs: runs(tx, &keys, &run_ids)?,
                    models: models(tx, &model_ids)?,
                })
            })
            .await
    }
}

fn runs(tx: &mut dyn Tx, keys: &Keys, run_ids: &[String]) -> Result<Vec<RunState>, TrackingError> {
    let mut infos = Vec::new();
    for run_id in run_ids {
        infos.extend(store::run_info(tx, run_id)?);
    }
    let refs: Vec<RunRef> = infos
        .iter()
        .map(|(number, info)| RunRef {
            number: *number,
            experiment_id: info.experiment_id,
            stage: info.lifecycle,
        })
        .collect();
    let numbers: Vec<i64> = refs.iter().map(|run| run.number).collect();
    let digests = store::import_digests(tx, &numbers)?;
    let mut held = store::holdings(tx, &refs)?;
    let metrics = held.values().flat_map(|of| of.points.keys().copied());
    let names = keys.names(tx, metrics.collect::<Vec<_>>().into_iter())?;
    let mut found = Vec::new();
    for (number, info) in infos {
        let held = held.remove(&number).unwrap_or_default();
        let (artifacts, artifact_bytes) = files(tx, &info.artifact_uri)?;
        let points = held.points.into_iter();
        found.push(RunState {
            digest: digests.get(&number).cloned(),
            lifecycle: info.lifecycle,
            artifact_uri: info.artifact_uri,
            params: held.params,
            tags: held.tags,
            datasets: held.datasets,
            points: points
                .filter_map(|(key_no, count)| Some((names.get(&key_no)?.clone(), count)))
                .collect(),
            artifacts,
            artifact_bytes,
            run_id: info.run_id,
        });
    }
    Ok(found)
}

fn models(tx: &mut dyn Tx, model_ids: &[String]) -> Result<Vec<ModelState>, TrackingError> {
    let mut found = Vec::new();
    for model_id in model_ids {
        let Some(model) = store::logged_model(tx, model_id)? else {
            continue;
        };
        let (artifacts, artifact_bytes) = files(tx, &model.artifact_uri)?;
        found.push(ModelState {
            model_id: model.model_id,
            artifact_uri: model.artifact_uri,
            artifacts,
            artifact_bytes,
        });
    }
    Ok(found)
}

fn files(tx: &mut dyn Tx, artifact_uri: &str) -> Result<(u64, u64), TrackingError> {
    let most = usize::try_from(limits::ARTIFACTS_LISTED).unwrap_or(usize::MAX);
    match path_of(artifact_uri) {
        Some(path) => Ok(store::artifacts_at(tx, &path, most)?),
        None => Ok((0, 0)),
    }
}

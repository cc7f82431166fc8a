//! What is here of runs and logged models: what is left to be moved in, and whether all of it came.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_mlflow_wire::{DatasetContent, digest_of_link, digest_of_texts};

use super::super::Tracking;
use super::super::artifacts::path_of;
use super::check_count;
use crate::store::Keys;
use crate::types::{DatasetInput, KeyValue, LifecycleStage, RunStatus};
use crate::{TrackingError, limits, store};

/// What is here of a run: what it logged by digests, in the form of `corliss_mlflow_wire`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// The run.
    pub run_id: String,
    /// The experiment that it is in.
    pub experiment_id: i64,
    /// Its name.
    pub experiment_name: String,
    /// The digest it was finished with; empty if it was begun only; none if it was not moved in.
    pub digest: Option<String>,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Its name for people.
    pub name: String,
    /// Who started it.
    pub user: String,
    /// State.
    pub status: RunStatus,
    /// Unix milliseconds.
    pub start_ms: i64,
    /// Unix milliseconds; absent if it did not end.
    pub end_ms: Option<i64>,
    /// Where its artifacts lie.
    pub artifact_uri: String,
    /// Parameters: the digest of each value by key.
    pub params: BTreeMap<String, String>,
    /// Tags: the digest of each value by key.
    pub tags: BTreeMap<String, String>,
    /// Digests of the datasets it read.
    pub datasets: Vec<String>,
    /// Digests of its links to logged models.
    pub models: Vec<String>,
    /// Points of each metric, by name.
    pub points: BTreeMap<String, PointsState>,
    /// Files of artifacts.
    pub artifacts: u64,
    /// Bytes of these.
    pub artifact_bytes: u64,
}

/// What is here of a metric's points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointsState {
    /// How many.
    pub count: u64,
    /// Their digest.
    pub digest: String,
}

/// What is here of a logged model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelState {
    /// The model.
    pub model_id: String,
    /// The experiment that it is in.
    pub experiment_id: i64,
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
    let numbers: Vec<i64> = infos.iter().map(|(number, _)| *number).collect();
    let digests = store::import_digests(tx, &numbers)?;
    let mut params = store::params_of(tx, keys, &numbers)?;
    let mut tags = store::tags_of(tx, keys, &numbers)?;
    let mut datasets = store::datasets_of(tx, &numbers)?;
    let mut models = store::models_of(tx, &numbers)?;
    let mut experiments: BTreeMap<i64, String> = BTreeMap::new();
    for (_, info) in &infos {
        if !experiments.contains_key(&info.experiment_id) {
            let named = store::experiment_by_id(tx, info.experiment_id)?;
            experiments.extend(named.map(|experiment| (experiment.id, experiment.name)));
        }
    }
    let mut found = Vec::new();
    for (number, info) in infos {
        let links = models.remove(&number).unwrap_or_default().into_iter();
        let (artifacts, artifact_bytes) = files(tx, &info.artifact_uri)?;
        found.push(RunState {
            experiment_id: info.experiment_id,
            experiment_name: experiments.get(&info.experiment_id).cloned().unwrap_or_default(),
            digest: digests.get(&number).cloned(),
            lifecycle: info.lifecycle,
            name: info.name,
            user: info.user,
            status: info.status,
            start_ms: info.start_ms,
            end_ms: info.end_ms,
            artifact_uri: info.artifact_uri,
            params: digested(params.remove(&number)),
            tags: digested(tags.remove(&number)),
            datasets: datasets
                .remove(&number)
                .unwrap_or_default()
                .iter()
                .map(digest_of)
                .collect(),
            models: links
                .map(|link| digest_of_link(&link.model_id, link.output, link.step))
                .collect(),
            points: points(tx, keys, number)?,
            artifacts,
            artifact_bytes,
            run_id: info.run_id,
        });
    }
    Ok(found)
}

fn digested(pairs: Option<Vec<KeyValue>>) -> BTreeMap<String, String> {
    let pairs = pairs.unwrap_or_default().into_iter();
    pairs
        .map(|pair| (pair.key, digest_of_texts([pair.value.as_str()])))
        .collect()
}

fn digest_of(dataset: &DatasetInput) -> String {
    let tags = dataset.tags.iter();
    DatasetContent {
        name: &dataset.name,
        digest: &dataset.digest,
        source_type: &dataset.source_type,
        source: &dataset.source,
        schema: dataset.schema.as_deref(),
        profile: dataset.profile.as_deref(),
        tags: tags.map(|tag| (tag.key.as_str(), tag.value.as_str())).collect(),
    }
    .digest()
}

fn points(tx: &mut dyn Tx, keys: &Keys, number: i64) -> Result<BTreeMap<String, PointsState>, TrackingError> {
    let digests = store::digests_of(tx, number)?;
    let names = keys.names(tx, digests.keys().copied())?;
    let found = digests.into_iter().filter_map(|(key_no, digest)| {
        let (count, digest) = digest.finish();
        Some((names.get(&key_no)?.clone(), PointsState { count, digest }))
    });
    Ok(found.collect())
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
            experiment_id: model.experiment_id,
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

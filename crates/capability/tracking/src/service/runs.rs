//! Runs: create, read, update, delete, restore, tag.

use std::collections::BTreeMap;

use corliss_metastore::{StoreError, Tx};
use corliss_mlflow_wire::{WireError, check_key, check_length, check_text, shortened};
use corliss_types::TrackingRunId;

use super::experiments::{check_active, existing};
use super::names::name_of;
use super::{RUN_NAME_TAG, Tracking};
use crate::store::{Keys, NumberedRun, RunRef};
use crate::types::{KeyValue, LifecycleStage, Run, RunInfo, RunStatus};
use crate::{TrackingError, limits, store};

/// What a run starts with.
#[derive(Debug, Clone, Default)]
pub struct NewRun {
    /// Its experiment.
    pub experiment_id: i64,
    /// Who starts it.
    pub user: String,
    /// Unix milliseconds; now if absent.
    pub start_ms: Option<i64>,
    /// Name; made up if absent.
    pub name: Option<String>,
    /// Tags.
    pub tags: Vec<KeyValue>,
}

impl Tracking {
    /// Creates a run.
    ///
    /// # Errors
    /// The experiment is deleted or absent, or an argument is wrong.
    pub async fn create_run(&self, new: NewRun) -> Result<Run, TrackingError> {
        for (index, tag) in new.tags.iter().enumerate() {
            check_tag(&format!("tags[{index}]."), tag)?;
        }
        let name = name_for(&new)?.unwrap_or_else(|| name_of(self.random()));
        let tags = new.tags.into_iter();
        let mut tags: Vec<_> = tags.map(|tag| cut(limits::TAG_VALUE_LEN, tag)).collect();
        if !tags.iter().any(|tag| tag.key == RUN_NAME_TAG) {
            tags.push(KeyValue::new(RUN_NAME_TAG, name.as_str()));
        }
        let run_id = TrackingRunId::new(self.random()).as_str().to_owned();
        let start_ms = new.start_ms.unwrap_or_else(|| self.now_ms());
        let (experiment_id, user) = (new.experiment_id, new.user);
        let (run_no, texts) = (self.next_run_no(), self.numbered(&tags).await?);
        let tags = last_of_each_key(tags);
        self.store
            .write(move |tx| {
                let experiment = existing(tx, experiment_id)?;
                check_active(&experiment)?;
                let info = RunInfo {
                    run_id: run_id.clone(),
                    experiment_id,
                    name: name.clone(),
                    user: user.clone(),
                    status: RunStatus::Running,
                    start_ms,
                    end_ms: None,
                    lifecycle: LifecycleStage::Active,
                    artifact_uri: artifact_uri(&experiment.artifact_location, &run_id),
                };
                store::insert_run(tx, run_no, &info)?;
                let run = store::RunRef {
                    number: run_no,
                    experiment_id,
                    stage: LifecycleStage::Active,
                };
                store::put_tags(tx, &run, &texts)?;
                Ok(Run {
                    info,
                    metrics: Vec::new(),
                    params: Vec::new(),
                    tags: tags.clone(),
                    datasets: Vec::new(),
                    models: Vec::new(),
                })
            })
            .await
    }

    /// A run with its latest metrics, parameters, tags and links, active or deleted.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn run(&self, run_id: String) -> Result<Run, TrackingError> {
        let keys = self.keys.clone();
        self.store
            .read(move |tx| {
                let run =
                    store::run_info(tx, &run_id)?.ok_or_else(|| TrackingError::run_not_found(&run_id))?;
                Ok(run_of(tx, &keys, run)?)
            })
            .await
    }

    /// Changes state, end or name of an active run; what is absent stays.
    ///
    /// # Errors
    /// The run is deleted or absent.
    pub async fn update_run(
        &self,
        run_id: String,
        status: Option<RunStatus>,
        end_ms: Option<i64>,
        name: Option<String>,
    ) -> Result<RunInfo, TrackingError> {
        let name = name.filter(|name| !name.is_empty());
        if let Some(name) = &name {
            check_length("run_name", limits::TAG_VALUE_LEN, name)?;
        }
        let tag = name
            .as_ref()
            .map(|name| KeyValue::new(RUN_NAME_TAG, name.as_str()));
        let tag = self.numbered(tag.as_slice()).await?;
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                store::update_run(tx, run.number, status, end_ms, name.as_deref())?;
                store::put_tags(tx, &run, &tag)?;
                let info = store::run_info(tx, &run_id)?;
                info.map(|(_, info)| info)
                    .ok_or_else(|| TrackingError::run_not_found(&run_id))
            })
            .await
    }

    /// Deletes or restores a run; doing it twice changes nothing.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn set_run_stage(&self, run_id: String, stage: LifecycleStage) -> Result<(), TrackingError> {
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                if store::set_run_stage(tx, &run_id, stage, now_ms)? {
                    return Ok(());
                }
                Err(TrackingError::run_not_found(&run_id))
            })
            .await
    }

    /// Removes a tag of an active run.
    ///
    /// # Errors
    /// The run is deleted or absent, or has no such tag.
    pub async fn delete_tag(&self, run_id: String, key: String) -> Result<(), TrackingError> {
        let keys = self.keys.clone();
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                let key_no = keys.number(tx, &key)?;
                if store::delete_tag(tx, run.number, key_no)? {
                    return Ok(());
                }
                Err(TrackingError::NotFound(format!(
                    "No tag with name: {key} in run with id {run_id}"
                )))
            })
            .await
    }
}

fn name_for(new: &NewRun) -> Result<Option<String>, TrackingError> {
    let tag = new
        .tags
        .iter()
        .find(|tag| tag.key == RUN_NAME_TAG)
        .map(|tag| &tag.value);
    let name = new.name.as_ref().filter(|name| !name.is_empty());
    match (name, tag) {
        (Some(name), Some(tag)) if name != tag => Err(TrackingError::invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
             (run_name='{name}', mlflow.runName='{tag}')."
        ))),
        (name, tag) => Ok(name.or(tag).cloned()),
    }
}

/// Where a run's artifacts lie.
pub(super) fn artifact_uri(location: &str, run_id: &str) -> String {
    format!("{}/{run_id}/artifacts", location.trim_end_matches('/'))
}

/// A run id as the wire may carry it; anything else is refused before it reaches the store.
pub(crate) fn check_run_id(run_id: &str) -> Result<(), TrackingError> {
    let rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if run_id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && run_id.len() <= 256
        && run_id.chars().all(rest)
    {
        return Ok(());
    }
    Err(WireError::invalid_value("run_id", run_id, "").into())
}

/// Checks a run's tag; `path` stands before the field's name in a refusal.
pub(super) fn check_tag(path: &str, tag: &KeyValue) -> Result<(), TrackingError> {
    check_key(&format!("{path}key"), &tag.key)?;
    check_text(&format!("{path}value"), &tag.value)?;
    Ok(check_length(&format!("{path}key"), limits::KEY_LEN, &tag.key)?)
}

/// A parameter or tag whose value is cut to so many characters. MLflow's server does so, and what logs more than it keeps
/// goes on.
pub(super) fn cut(limit: usize, pair: KeyValue) -> KeyValue {
    let value = shortened(limit, pair.value);
    KeyValue { value, ..pair }
}

/// Every change of a run begins with this.
pub(super) fn active_run(tx: &mut dyn Tx, run_id: &str) -> Result<RunRef, TrackingError> {
    match store::run_ref(tx, run_id)? {
        Some(run) if run.stage == LifecycleStage::Active => Ok(run),
        Some(run) => Err(TrackingError::invalid(format!(
            "The run {run_id} must be in the 'active' state. Current state is {}.",
            run.stage.as_str()
        ))),
        None => Err(TrackingError::run_not_found(run_id)),
    }
}

/// As the run has them: by key, the last value of each.
fn last_of_each_key(tags: Vec<KeyValue>) -> Vec<KeyValue> {
    let last: BTreeMap<String, String> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let last = last.into_iter();
    last.map(|(key, value)| KeyValue { key, value }).collect()
}

fn run_of(tx: &mut dyn Tx, keys: &Keys, run: NumberedRun) -> Result<Run, StoreError> {
    let mut runs = runs_of(tx, keys, vec![run])?;
    Ok(runs.remove(0))
}

/// What a page of runs logged, in a number of statements that does not depend on how many they are.
pub(super) fn runs_of(tx: &mut dyn Tx, keys: &Keys, runs: Vec<NumberedRun>) -> Result<Vec<Run>, StoreError> {
    let numbers: Vec<i64> = runs.iter().map(|(number, _)| *number).collect();
    let mut metrics = store::latest_of(tx, keys, &numbers)?;
    let mut params = store::params_of(tx, keys, &numbers)?;
    let mut tags = store::tags_of(tx, keys, &numbers)?;
    let mut datasets = store::datasets_of(tx, &numbers)?;
    let mut models = store::models_of(tx, &numbers)?;
    Ok(runs
        .into_iter()
        .map(|(number, info)| Run {
            metrics: metrics.remove(&number).unwrap_or_default(),
            params: params.remove(&number).unwrap_or_default(),
            tags: tags.remove(&number).unwrap_or_default(),
            datasets: datasets.remove(&number).unwrap_or_default(),
            models: models.remove(&number).unwrap_or_default(),
            info,
        })
        .collect())
}

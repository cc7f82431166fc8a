//! Experiments: create, read, rename, delete, restore, tag.

use corliss_metastore::Tx;
use corliss_mlflow_wire::{check_key, check_length};

use super::{Tracking, location_of};
use crate::types::{Experiment, KeyValue, LifecycleStage};
use crate::{TrackingError, limits, store};

impl Tracking {
    /// Creates an experiment and answers its id.
    ///
    /// # Errors
    /// The name is taken, also by a deleted one, or an argument is wrong.
    pub async fn create_experiment(
        &self,
        name: String,
        artifact_location: Option<String>,
        tags: Vec<KeyValue>,
    ) -> Result<i64, TrackingError> {
        check_name(&name)?;
        let artifact_location = artifact_location.filter(|location| !location.is_empty());
        if let Some(location) = &artifact_location {
            check_location(location)?;
        }
        tags.iter().try_for_each(check_tag)?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                let id = store::next_experiment_id(tx)?;
                let experiment = Experiment {
                    id,
                    name: name.clone(),
                    artifact_location: artifact_location.clone().unwrap_or_else(|| location_of(id)),
                    lifecycle: LifecycleStage::Active,
                    created_ms: now_ms,
                    updated_ms: now_ms,
                    tags: tags.clone(),
                };
                if store::insert_experiment(tx, &experiment)? {
                    Ok(id)
                } else {
                    Err(TrackingError::ExperimentExists(name.clone()))
                }
            })
            .await
    }

    /// An experiment, active or deleted.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn experiment(&self, id: i64) -> Result<Experiment, TrackingError> {
        self.store.read(move |tx| existing(tx, id)).await
    }

    /// An experiment by its name, active or deleted.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn experiment_by_name(&self, name: String) -> Result<Experiment, TrackingError> {
        self.store
            .read(move |tx| {
                store::experiment_by_name(tx, &name)?.ok_or_else(|| {
                    TrackingError::NotFound(format!("Could not find experiment with name '{name}'"))
                })
            })
            .await
    }

    /// Deletes an active experiment with its runs, or restores a deleted one with its runs.
    ///
    /// # Errors
    /// There is no experiment of this id in the other stage.
    pub async fn set_experiment_stage(&self, id: i64, stage: LifecycleStage) -> Result<(), TrackingError> {
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                if existing(tx, id)?.lifecycle == stage {
                    return Err(TrackingError::experiment_not_found(id));
                }
                Ok(store::set_experiment_stage(tx, id, stage, now_ms)?)
            })
            .await
    }

    /// Renames an active experiment.
    ///
    /// # Errors
    /// It is deleted or absent, or the name is wrong or taken.
    pub async fn rename_experiment(&self, id: i64, name: String) -> Result<(), TrackingError> {
        check_name(&name)?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                if existing(tx, id)?.lifecycle != LifecycleStage::Active {
                    return Err(TrackingError::invalid("Cannot rename a non-active experiment."));
                }
                match store::experiment_by_name(tx, &name)? {
                    Some(other) if other.id != id => Err(TrackingError::ExperimentExists(name.clone())),
                    _ => Ok(store::rename_experiment(tx, id, &name, now_ms)?),
                }
            })
            .await
    }

    /// Sets a tag of an active experiment.
    ///
    /// # Errors
    /// The experiment is deleted or absent, or the tag is wrong.
    pub async fn set_experiment_tag(&self, id: i64, tag: KeyValue) -> Result<(), TrackingError> {
        check_tag(&tag)?;
        self.store
            .write(move |tx| {
                check_active(&existing(tx, id)?)?;
                Ok(store::put_experiment_tag(tx, id, &tag)?)
            })
            .await
    }

    /// Removes a tag of an active experiment.
    ///
    /// # Errors
    /// The experiment is deleted or absent, or has no such tag.
    pub async fn delete_experiment_tag(&self, id: i64, key: String) -> Result<(), TrackingError> {
        self.store
            .write(move |tx| {
                check_active(&existing(tx, id)?)?;
                if store::delete_experiment_tag(tx, id, &key)? {
                    return Ok(());
                }
                Err(TrackingError::NotFound(format!(
                    "No tag with name: {key} in experiment with id {id}"
                )))
            })
            .await
    }
}

pub(super) fn existing(tx: &mut dyn Tx, id: i64) -> Result<Experiment, TrackingError> {
    store::experiment_by_id(tx, id)?.ok_or_else(|| TrackingError::experiment_not_found(id))
}

pub(super) fn check_active(experiment: &Experiment) -> Result<(), TrackingError> {
    if experiment.lifecycle == LifecycleStage::Active {
        return Ok(());
    }
    Err(TrackingError::invalid(format!(
        "The experiment {} must be in the 'active' state. Current state is {}.",
        experiment.id,
        experiment.lifecycle.as_str()
    )))
}

pub(super) fn check_name(name: &str) -> Result<(), TrackingError> {
    if name.is_empty() {
        return Err(TrackingError::invalid(format!(
            "Invalid experiment name: '{name}'"
        )));
    }
    Ok(check_length("name", limits::EXPERIMENT_NAME_LEN, name)?)
}

pub(super) fn check_tag(tag: &KeyValue) -> Result<(), TrackingError> {
    check_key("key", &tag.key)?;
    check_length("key", limits::KEY_LEN, &tag.key)?;
    Ok(check_length(
        "value",
        limits::EXPERIMENT_TAG_VALUE_LEN,
        &tag.value,
    )?)
}

/// A location is only recorded and handed back to clients; those of ours must be clean paths.
fn check_location(location: &str) -> Result<(), TrackingError> {
    check_length("artifact_location", limits::ARTIFACT_LOCATION_LEN, location)?;
    if location.starts_with("runs:") {
        return Err(TrackingError::invalid(format!(
            "Artifact location cannot be a runs:/ URI. Given: '{location}'"
        )));
    }
    let scheme = location.split_once(':').map(|(scheme, _)| scheme);
    let bad_part = location.split('/').any(|part| part == "..") || location.contains(['#', '?', '%']);
    // A path without a scheme, or file:, would name a file of this machine.
    if bad_part || scheme.is_none_or(|scheme| scheme.len() < 2 || scheme == "file") {
        return Err(TrackingError::invalid(format!(
            "Invalid artifact location: '{location}'"
        )));
    }
    Ok(())
}

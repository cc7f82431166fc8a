//! Logged models that are moved in.

use super::super::experiments::existing;
use super::super::logged_models::{check_name, check_pair};
use super::super::runs::{artifact_uri, check_run_id};
use super::super::{Tracking, location_of};
use super::{Outcome, Refusal, Taken, check_count, check_place, is_refusal};
use crate::types::{Experiment, KeyValue, LifecycleStage, LoggedModel, Metric};
use crate::{TrackingError, limits, store};
use corliss_metastore::Tx;

/// A logged model of a source.
#[derive(Debug, Clone)]
pub struct ImportModel {
    /// Its id, there and here.
    pub model_id: String,
    /// Name.
    pub name: String,
    /// What it is for.
    pub model_type: String,
    /// The run that made it, or empty.
    pub source_run_id: String,
    /// 1 pending, 2 ready, 3 upload failed.
    pub status: i64,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
    /// Metrics that speak of it, each with the run that logged it.
    pub metrics: Vec<(String, Metric)>,
}

impl Tracking {
    /// Takes logged models. Of one that is here, what it lacks is added, and it is finished if it was pending.
    ///
    /// # Errors
    /// There is no such experiment, or the call carries too much. A model that is wrong is refused by itself.
    pub async fn import_models(
        &self,
        experiment_id: i64,
        models: Vec<ImportModel>,
    ) -> Result<Outcome, TrackingError> {
        check_count("models", models.len(), limits::IMPORT_RUNS)?;
        let count = models.iter().map(|model| model.metrics.len()).sum();
        check_count("metrics of models", count, limits::IMPORT_POINTS)?;
        self.store
            .write(move |tx| {
                let experiment = existing(tx, experiment_id)?;
                let mut outcome = Outcome::default();
                for model in &models {
                    match check(model).and_then(|()| take(tx, &experiment, model)) {
                        Ok(artifact_uri) => outcome.taken.push(Taken {
                            id: model.model_id.clone(),
                            artifact_uri,
                        }),
                        Err(error) if is_refusal(&error) => outcome.refused.push(Refusal {
                            id: model.model_id.clone(),
                            message: error.to_string(),
                        }),
                        Err(error) => return Err(error),
                    }
                }
                Ok(outcome)
            })
            .await
    }
}

fn check(model: &ImportModel) -> Result<(), TrackingError> {
    check_run_id(&model.model_id)?;
    check_name(Some(&model.name))?;
    if !(1..=3).contains(&model.status) {
        return Err(TrackingError::invalid(format!(
            "Unknown model status: {}",
            model.status
        )));
    }
    model.params.iter().chain(&model.tags).try_for_each(check_pair)
}

fn take(tx: &mut dyn Tx, experiment: &Experiment, model: &ImportModel) -> Result<String, TrackingError> {
    const PENDING: i64 = 1;
    let uri = match store::logged_model(tx, &model.model_id)? {
        Some(found) => {
            check_place(tx, &model.model_id, found.experiment_id, experiment)?;
            if found.status == PENDING && model.status != PENDING {
                store::set_model_status(tx, &model.model_id, model.status, model.updated_ms)?;
            }
            let new = |pairs: &[KeyValue], old: &[KeyValue]| -> Vec<KeyValue> {
                let is_new = |pair: &&KeyValue| old.iter().all(|old| old.key != pair.key);
                pairs.iter().filter(is_new).cloned().collect()
            };
            store::put_model_params(tx, &model.model_id, &new(&model.params, &found.params))?;
            store::put_model_tags(tx, &model.model_id, &new(&model.tags, &found.tags))?;
            found.artifact_uri
        }
        None => {
            let location = format!("{}/models", location_of(experiment.id));
            let new = LoggedModel {
                model_id: model.model_id.clone(),
                experiment_id: experiment.id,
                name: model.name.clone(),
                artifact_uri: artifact_uri(&location, &model.model_id),
                model_type: model.model_type.clone(),
                source_run_id: model.source_run_id.clone(),
                status: model.status,
                lifecycle: model.lifecycle,
                created_ms: model.created_ms,
                updated_ms: model.updated_ms,
                params: model.params.clone(),
                tags: model.tags.clone(),
                metrics: Vec::new(),
            };
            store::insert_logged_model(tx, &new)?;
            new.artifact_uri
        }
    };
    for (run_id, metric) in &model.metrics {
        store::insert_model_metrics(tx, run_id, std::slice::from_ref(metric))?;
    }
    Ok(uri)
}

//! Logged models: create, read, finish, delete, tag, search.

use corliss_metastore::Tx;
use corliss_mlflow_wire::check_length;
use corliss_types::TrackingRunId;

use super::experiments::{check_active, existing};
use super::names::name_of;
use super::search::{SearchScope, check_clauses, distinct};
use super::{Tracking, runs};
use crate::types::{DatasetKey, KeyValue, LifecycleStage, LoggedModel, ModelOrder, Page};
use crate::{TrackingError, limits, store};

const PENDING: i64 = 1;
const STATUS_MAX: i64 = 3;

/// What a logged model starts with.
#[derive(Debug, Clone, Default)]
pub struct NewLoggedModel {
    /// Its experiment.
    pub experiment_id: i64,
    /// Name; made up if absent.
    pub name: Option<String>,
    /// What it is for.
    pub model_type: String,
    /// The run that makes it, or empty.
    pub source_run_id: String,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
}

/// A search over logged models.
#[derive(Debug, Clone, Default)]
pub struct LoggedModelSearch {
    /// Experiments to look in.
    pub experiment_ids: Vec<i64>,
    /// Filter and page; its view and order say nothing here.
    pub scope: SearchScope,
    /// Orders, the first one first.
    pub order_by: Vec<ModelOrder>,
    /// Metrics count only if they were measured on one of these, if there are any.
    pub datasets: Vec<DatasetKey>,
}

impl Tracking {
    /// Creates a logged model, pending until it is finished.
    ///
    /// # Errors
    /// The experiment is deleted or absent, or an argument is wrong.
    pub async fn create_logged_model(&self, new: NewLoggedModel) -> Result<LoggedModel, TrackingError> {
        check_name(new.name.as_deref())?;
        new.params.iter().chain(&new.tags).try_for_each(check_pair)?;
        let name = new.name.clone().unwrap_or_else(|| name_of(self.random()));
        // The same 32 hex digits as a run's, behind MLflow's prefix.
        let model_id = format!("m-{}", TrackingRunId::new(self.random()).as_str());
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                let experiment = existing(tx, new.experiment_id)?;
                check_active(&experiment)?;
                let location = format!("{}/models", experiment.artifact_location.trim_end_matches('/'));
                let model = LoggedModel {
                    model_id: model_id.clone(),
                    experiment_id: new.experiment_id,
                    name: name.clone(),
                    artifact_uri: runs::artifact_uri(&location, &model_id),
                    model_type: new.model_type.clone(),
                    source_run_id: new.source_run_id.clone(),
                    status: PENDING,
                    lifecycle: LifecycleStage::Active,
                    created_ms: now_ms,
                    updated_ms: now_ms,
                    params: new.params.clone(),
                    tags: new.tags.clone(),
                    metrics: Vec::new(),
                };
                store::insert_logged_model(tx, &model)?;
                current(tx, &model_id)
            })
            .await
    }

    /// A logged model; a deleted one only if allowed.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn logged_model(
        &self,
        model_id: String,
        allow_deleted: bool,
    ) -> Result<LoggedModel, TrackingError> {
        self.store
            .read(move |tx| {
                let model = current(tx, &model_id)?;
                if model.lifecycle == LifecycleStage::Deleted && !allow_deleted {
                    return Err(TrackingError::model_not_found(&model_id));
                }
                Ok(model)
            })
            .await
    }

    /// Finishes a logged model with MLflow's status number: 2 ready, 3 failed.
    ///
    /// # Errors
    /// There is none of this id, or no such status.
    pub async fn finish_logged_model(
        &self,
        model_id: String,
        status: i64,
    ) -> Result<LoggedModel, TrackingError> {
        if !(PENDING..=STATUS_MAX).contains(&status) {
            return Err(TrackingError::invalid(format!("Unknown model status: {status}")));
        }
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                store::set_model_status(tx, &model_id, status, now_ms)?;
                current(tx, &model_id)
            })
            .await
    }

    /// Deletes a logged model.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn delete_logged_model(&self, model_id: String) -> Result<(), TrackingError> {
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                if store::set_model_stage(tx, &model_id, LifecycleStage::Deleted, now_ms)? {
                    return Ok(());
                }
                Err(TrackingError::model_not_found(&model_id))
            })
            .await
    }

    /// Sets tags of a logged model, and parameters that it does not have; the same value again changes nothing.
    ///
    /// # Errors
    /// There is none of this id, a pair is wrong, or a parameter has another value already.
    pub async fn describe_logged_model(
        &self,
        model_id: String,
        params: Vec<KeyValue>,
        tags: Vec<KeyValue>,
    ) -> Result<(), TrackingError> {
        params.iter().chain(&tags).try_for_each(check_pair)?;
        self.store
            .write(move |tx| {
                let model = current(tx, &model_id)?;
                check_unchanged(&model, &params)?;
                store::put_model_params(tx, &model_id, &params)?;
                Ok(store::put_model_tags(tx, &model_id, &tags)?)
            })
            .await
    }

    /// Removes a tag of a logged model.
    ///
    /// # Errors
    /// There is no such model, or it has no such tag.
    pub async fn delete_logged_model_tag(&self, model_id: String, key: String) -> Result<(), TrackingError> {
        self.store
            .write(move |tx| {
                current(tx, &model_id)?;
                if store::delete_model_tag(tx, &model_id, &key)? {
                    return Ok(());
                }
                Err(TrackingError::NotFound(format!(
                    "No tag with key '{key}' found for model with ID '{model_id}'."
                )))
            })
            .await
    }

    /// A page of active logged models.
    ///
    /// # Errors
    /// The filter, the order, the limit or the token is wrong, or there are too many orders or datasets.
    pub async fn search_logged_models(
        &self,
        search: LoggedModelSearch,
    ) -> Result<Page<LoggedModel>, TrackingError> {
        let LoggedModelSearch {
            experiment_ids,
            scope,
            order_by,
            datasets,
        } = search;
        let experiment_ids = distinct(experiment_ids)?;
        check_clauses("order_by", order_by.len())?;
        check_clauses("datasets", datasets.len())?;
        let query = SearchScope {
            max_results: scope.max_results.map(|asked| asked.min(limits::SEARCH_MAX)),
            ..scope
        }
        .read(limits::LOGGED_MODELS_PAGE)?;
        self.store
            .read(move |tx| {
                let asked = store::ModelQuery {
                    experiment_ids: &experiment_ids,
                    filter: &query.filter,
                    datasets: &datasets,
                    order: &order_by,
                    rows: query.rows(),
                };
                let found = store::search_logged_models(tx, &asked)?;
                Ok(query.page(found))
            })
            .await
    }
}

fn current(tx: &mut dyn Tx, model_id: &str) -> Result<LoggedModel, TrackingError> {
    store::logged_model(tx, model_id)?.ok_or_else(|| TrackingError::model_not_found(model_id))
}

pub(super) fn check_name(name: Option<&str>) -> Result<(), TrackingError> {
    let Some(name) = name else { return Ok(()) };
    if name.is_empty() || name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(TrackingError::invalid(format!(
            "Invalid model name ('{name}') provided. Model name must be a non-empty string and cannot contain the \
             following characters: ('/', ':', '.', '%', '\"', \"'\")"
        )));
    }
    Ok(check_length("name", limits::EXPERIMENT_NAME_LEN, name)?)
}

/// Parameters are written once.
fn check_unchanged(model: &LoggedModel, params: &[KeyValue]) -> Result<(), TrackingError> {
    for param in params {
        let old = model.params.iter().find(|old| old.key == param.key);
        if let Some(old) = old.filter(|old| old.value != param.value) {
            return Err(TrackingError::invalid(format!(
                "Changing param values is not allowed. Param with key='{}' was already logged with value='{}' for model \
                 ID='{}'. Attempted logging new value '{}'.",
                param.key, old.value, model.model_id, param.value
            )));
        }
    }
    Ok(())
}

pub(super) fn check_pair(pair: &KeyValue) -> Result<(), TrackingError> {
    check_length("key", limits::KEY_LEN, &pair.key)?;
    Ok(check_length("value", limits::TAG_VALUE_LEN, &pair.value)?)
}

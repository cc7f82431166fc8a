//! Our things in MLflow's JSON: snake case, 64-bit integers as numbers. Runs and metrics: `run_answer`.

use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Map, Value, json};

use super::run_answer::MetricOfRun;
use crate::types::{Experiment, KeyValue, LoggedModel, ViewType};

pub(super) fn pairs(pairs: &[KeyValue]) -> Value {
    pairs
        .iter()
        .map(|pair| json!({ "key": pair.key, "value": pair.value }))
        .collect()
}

pub(super) fn experiment(experiment: &Experiment) -> Value {
    json!({
        "experiment_id": experiment.id.to_string(),
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": experiment.lifecycle.as_str(),
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
        "tags": pairs(&experiment.tags),
    })
}

pub(super) fn logged_model(model: &LoggedModel) -> Value {
    const STATUSES: [&str; 4] = [
        "LOGGED_MODEL_STATUS_UNSPECIFIED",
        "LOGGED_MODEL_PENDING",
        "LOGGED_MODEL_READY",
        "LOGGED_MODEL_UPLOAD_FAILED",
    ];
    let status = usize::try_from(model.status)
        .ok()
        .and_then(|index| STATUSES.get(index))
        .unwrap_or(&STATUSES[0]);
    let metrics: Vec<MetricOfRun<'_>> = model
        .metrics
        .iter()
        .map(|(run_id, metric)| MetricOfRun::new(run_id, metric))
        .collect();
    json!({
        "info": {
            "model_id": model.model_id,
            "experiment_id": model.experiment_id.to_string(),
            "name": model.name,
            "artifact_uri": model.artifact_uri,
            "creation_timestamp_ms": model.created_ms,
            "last_updated_timestamp_ms": model.updated_ms,
            "status": status,
            "model_type": model.model_type,
            "source_run_id": model.source_run_id,
            "tags": pairs(&model.tags),
        },
        "data": {
            "params": pairs(&model.params),
            "metrics": metrics,
        },
    })
}

/// A page: its items under a name, and the token of the next if there is one.
pub(super) fn page(name: &str, items: Value, next_page_token: Option<String>) -> Value {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), items);
    if let Some(token) = next_page_token {
        fields.insert("next_page_token".to_owned(), json!(token));
    }
    Value::Object(fields)
}

/// Pairs as sent; `list` names the parameter in a refusal.
pub(super) fn read_pairs(args: &Args, list: &str) -> Result<Vec<KeyValue>, WireError> {
    args.objects(list)?
        .iter()
        .enumerate()
        .map(|(index, pair)| {
            let key = pair.text("key")?.filter(|key| !key.is_empty());
            let key = key.ok_or_else(|| WireError::missing(&format!("{list}[{index}].key")))?;
            Ok(KeyValue {
                key,
                value: pair.text("value")?.unwrap_or_default(),
            })
        })
        .collect()
}

/// A view type by name or number.
pub(super) fn read_view(args: &Args, name: &str) -> Result<ViewType, WireError> {
    if let Ok(number) = args.integer(name) {
        return match number {
            None | Some(1) => Ok(ViewType::ActiveOnly),
            Some(2) => Ok(ViewType::DeletedOnly),
            Some(3) => Ok(ViewType::All),
            Some(other) => Err(WireError::invalid_value(name, &other.to_string(), "")),
        };
    }
    match args.text(name)?.as_deref() {
        Some("ACTIVE_ONLY") => Ok(ViewType::ActiveOnly),
        Some("DELETED_ONLY") => Ok(ViewType::DeletedOnly),
        Some("ALL") => Ok(ViewType::All),
        other => Err(WireError::invalid_value(name, other.unwrap_or_default(), "")),
    }
}

//! Our things in MLflow's JSON: snake case, 64-bit integers as numbers, NaN and infinities as words.

use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Map, Value, json};

use crate::types::{DatasetInput, Experiment, KeyValue, LoggedModel, Metric, Run, RunInfo, ViewType};

/// A double. JSON has no NaN; protobuf's JSON, which clients parse, spells it as a word.
pub(super) fn real(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

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

pub(super) fn run_info(info: &RunInfo) -> Value {
    let mut value = json!({
        "run_id": info.run_id,
        "run_uuid": info.run_id,
        "run_name": info.name,
        "experiment_id": info.experiment_id.to_string(),
        "user_id": info.user,
        "status": info.status.as_str(),
        "start_time": info.start_ms,
        "lifecycle_stage": info.lifecycle.as_str(),
        "artifact_uri": info.artifact_uri,
    });
    if let (Some(end_ms), Value::Object(fields)) = (info.end_ms, &mut value) {
        fields.insert("end_time".to_owned(), json!(end_ms));
    }
    value
}

pub(super) fn metric(metric: &Metric) -> Value {
    json!({
        "key": metric.key,
        "value": real(metric.value),
        "timestamp": metric.logged_ms,
        "step": metric.step,
    })
}

/// A metric that says which run logged it.
pub(super) fn metric_of_run(run_id: &str, logged: &Metric) -> Value {
    let mut value = metric(logged);
    if let Value::Object(fields) = &mut value {
        fields.insert("run_id".to_owned(), json!(run_id));
        if let Some(model_id) = &logged.model_id {
            fields.insert("model_id".to_owned(), json!(model_id));
        }
        if let Some((name, digest)) = &logged.dataset {
            fields.insert("dataset_name".to_owned(), json!(name));
            fields.insert("dataset_digest".to_owned(), json!(digest));
        }
    }
    value
}

pub(super) fn run(run: &Run) -> Value {
    let link = |output: bool| -> Value {
        run.models
            .iter()
            .filter(|link| link.output == output)
            .map(|link| match output {
                true => json!({ "model_id": link.model_id, "step": link.step }),
                false => json!({ "model_id": link.model_id }),
            })
            .collect()
    };
    json!({
        "info": run_info(&run.info),
        "data": {
            "metrics": run.metrics.iter().map(metric).collect::<Value>(),
            "params": pairs(&run.params),
            "tags": pairs(&run.tags),
        },
        "inputs": {
            "dataset_inputs": run.datasets.iter().map(dataset).collect::<Value>(),
            "model_inputs": link(false),
        },
        "outputs": { "model_outputs": link(true) },
    })
}

fn dataset(input: &DatasetInput) -> Value {
    let mut dataset = Map::new();
    let required = [
        ("name", &input.name),
        ("digest", &input.digest),
        ("source_type", &input.source_type),
        ("source", &input.source),
    ];
    for (name, value) in required {
        dataset.insert(name.to_owned(), json!(value));
    }
    for (name, value) in [("schema", &input.schema), ("profile", &input.profile)] {
        if let Some(value) = value {
            dataset.insert(name.to_owned(), json!(value));
        }
    }
    json!({ "dataset": dataset, "tags": pairs(&input.tags) })
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
            "metrics": model.metrics.iter().map(|(run_id, logged)| metric_of_run(run_id, logged)).collect::<Value>(),
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

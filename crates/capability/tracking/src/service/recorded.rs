//! What older clients ask for: models written into a run's history, and the datasets of experiments.

use corliss_mlflow_wire::WireError;
use serde_json::{Map, Value};

use super::Tracking;
use super::runs::active_run;
use crate::types::DatasetSummary;
use crate::{TrackingError, limits, store};

/// The tag that holds the models which were logged to a run.
const HISTORY: &str = "mlflow.log-model.history";
/// What a model must say of itself.
const FIELDS: [&str; 4] = ["artifact_path", "flavors", "run_id", "utc_time_created"];

impl Tracking {
    /// Writes a model, as the JSON of its `MLmodel`, into the history of its run.
    ///
    /// # Errors
    /// It is no such JSON, the run is deleted or absent, or its history is too long.
    pub async fn record_model(&self, run_id: String, model_json: String) -> Result<(), TrackingError> {
        let entry = entry(&model_json)?;
        let number = self.keys.numbers(&self.store, &[HISTORY]).await?;
        let keys = self.keys.clone();
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                let tags = store::tags_of(tx, &keys, &[run.number])?.remove(&run.number);
                let before = tags
                    .unwrap_or_default()
                    .into_iter()
                    .find(|tag| tag.key == HISTORY);
                // Whatever else somebody wrote there is not ours to keep.
                let models = before.and_then(|tag| serde_json::from_str::<Value>(&tag.value).ok());
                let mut models = match models {
                    Some(Value::Array(models)) => models,
                    _ => Vec::new(),
                };
                models.push(entry.clone());
                let text = Value::Array(models).to_string();
                if text.len() > limits::MODEL_HISTORY_BYTES {
                    return Err(TrackingError::invalid(format!(
                        "The models of a run can take at most {} bytes.",
                        limits::MODEL_HISTORY_BYTES
                    )));
                }
                let tags: Vec<_> = number.iter().map(|number| (*number, text.clone())).collect();
                Ok(store::put_tags(tx, &run, &tags)?)
            })
            .await
    }

    /// The datasets that runs of these experiments read, each with what for; at most a thousand.
    ///
    /// # Errors
    /// There are no or too many experiments, or the store failed.
    pub async fn dataset_summaries(
        &self,
        experiments: Vec<i64>,
    ) -> Result<Vec<DatasetSummary>, TrackingError> {
        let most = limits::DATASET_EXPERIMENTS;
        if experiments.is_empty() {
            let message = "SearchDatasets request must specify at least one experiment_id.";
            return Err(TrackingError::invalid(message));
        }
        if experiments.len() > most {
            let given = experiments.len();
            return Err(TrackingError::invalid(format!(
                "SearchDatasets request cannot specify more than {most} experiment_ids. Received {given} experiment_ids."
            )));
        }
        self.store
            .read(move |tx| {
                Ok(store::dataset_summaries(
                    tx,
                    &experiments,
                    limits::DATASET_SUMMARIES,
                )?)
            })
            .await
    }
}

/// What of a model's JSON is kept.
fn entry(model_json: &str) -> Result<Value, TrackingError> {
    let model = match serde_json::from_str::<Value>(model_json) {
        Ok(Value::Object(model)) => model,
        _ => {
            let shown: String = model_json.chars().take(500).collect();
            return Err(WireError::new(format!(
                "Malformed model info. \n {shown} \n is not a valid JSON."
            ))
            .into());
        }
    };
    let missing: Vec<&str> = FIELDS
        .into_iter()
        .filter(|field| !model.contains_key(*field))
        .collect();
    if !missing.is_empty() {
        let missing = missing.join("', '");
        return Err(
            WireError::new(format!("Model json is missing mandatory fields: {{'{missing}'}}")).into(),
        );
    }
    let mut kept = Map::new();
    for (name, value) in model {
        match name.as_str() {
            "run_id" | "artifact_path" | "utc_time_created" | "model_uuid" => {
                kept.insert(name, value);
            }
            "flavors" => {
                kept.insert(name, without_config(value));
            }
            _ => {}
        }
    }
    Ok(Value::Object(kept))
}

/// Flavors without their configurations, which may be long and hold paths.
fn without_config(mut flavors: Value) -> Value {
    if let Value::Object(flavors) = &mut flavors {
        for flavor in flavors.values_mut() {
            if let Value::Object(fields) = flavor {
                fields.remove("config");
            }
        }
    }
    flavors
}

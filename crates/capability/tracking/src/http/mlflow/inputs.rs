//! `runs/{log-inputs,outputs}`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer};
use crate::service::{Tracking, experiment_id};
use crate::types::{DatasetInput, ModelLink};

pub(super) async fn log_inputs(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.required_text("run_id")?;
    let datasets = args
        .objects("datasets")?
        .iter()
        .map(dataset)
        .collect::<Result<Vec<_>, _>>()?;
    tracking
        .log_inputs(run_id, datasets, models(&args, false)?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn log_outputs(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.required_text("run_id")?;
    if !args.has("models") {
        return Err(WireError::missing("models").into());
    }
    tracking
        .log_inputs(run_id, Vec::new(), models(&args, true)?)
        .await?;
    Ok(Json(json!({})))
}

fn dataset(args: &Args) -> Result<DatasetInput, WireError> {
    let dataset = args
        .object("dataset")?
        .ok_or_else(|| WireError::new("Dataset cannot be None"))?;
    Ok(DatasetInput {
        name: dataset.text("name")?.unwrap_or_default(),
        digest: dataset.text("digest")?.unwrap_or_default(),
        source_type: dataset.text("source_type")?.unwrap_or_default(),
        source: dataset.text("source")?.unwrap_or_default(),
        schema: dataset.text("schema")?,
        profile: dataset.text("profile")?,
        tags: answer::read_pairs(args, "tags")?,
    })
}

fn models(args: &Args, output: bool) -> Result<Vec<ModelLink>, WireError> {
    args.objects("models")?
        .iter()
        .map(|model| {
            let model_id = model.required_text("model_id")?;
            Ok(ModelLink {
                model_id,
                output,
                step: model.integer("step")?.unwrap_or(0),
            })
        })
        .collect()
}

/// `runs/log-model`, which clients send that know no logged models.
pub(super) async fn log_model(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    tracking
        .record_model(run_id, args.required_text("model_json")?)
        .await?;
    Ok(Json(json!({})))
}

/// `experiments/search-datasets`, which pages of MLflow ask.
pub(super) async fn search_datasets(State(tracking): State<Tracking>, args: Args) -> Answer {
    let ids = args.texts("experiment_ids")?;
    let ids = ids.iter().map(|id| experiment_id(id)).collect::<Result<_, _>>()?;
    let found = tracking.dataset_summaries(ids).await?;
    let summaries: Value = found
        .iter()
        .map(|one| {
            let mut fields = json!({
                "experiment_id": one.experiment_id.to_string(),
                "name": one.name,
                "digest": one.digest,
            });
            if let Some(context) = &one.context {
                fields["context"] = json!(context);
            }
            fields
        })
        .collect();
    Ok(Json(json!({ "dataset_summaries": summaries })))
}

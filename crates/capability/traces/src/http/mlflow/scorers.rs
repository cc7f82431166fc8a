//! `scorers/…`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::Answer;
use crate::evaluation::Scorer;
use crate::service::Evaluation;

fn scorer(scorer: &Scorer) -> Value {
    json!({
        "experiment_id": scorer.experiment_id,
        "scorer_name": scorer.name,
        "scorer_version": scorer.version,
        "serialized_scorer": scorer.serialized,
        "creation_time": scorer.created_ms,
        "scorer_id": scorer.id,
    })
}

fn listed(found: &[Scorer]) -> Answer {
    Ok(Json(
        json!({ "scorers": found.iter().map(scorer).collect::<Value>() }),
    ))
}

pub(super) async fn register(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let experiment = args.required_text("experiment_id")?;
    let name = args.required_text("name")?;
    let serialized = args.required_text("serialized_scorer")?;
    let made = evaluation.register_scorer(&experiment, name, serialized).await?;
    // Another message than that of the lists, with other names.
    Ok(Json(json!({
        "version": made.version,
        "scorer_id": made.id,
        "experiment_id": made.experiment_id.to_string(),
        "name": made.name,
        "serialized_scorer": made.serialized,
        "creation_time": made.created_ms,
    })))
}

pub(super) async fn list(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let several = args.texts("experiment_ids")?;
    if several.is_empty() {
        return listed(&evaluation.scorers(&args.required_text("experiment_id")?).await?);
    }
    listed(&evaluation.scorers_of(&several).await?)
}

pub(super) async fn versions(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let experiment = args.required_text("experiment_id")?;
    let name = args.required_text("name")?;
    listed(&evaluation.scorer_versions(&experiment, name).await?)
}

pub(super) async fn get(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let experiment = args.required_text("experiment_id")?;
    let name = args.required_text("name")?;
    let found = evaluation
        .scorer(&experiment, name, args.integer("version")?)
        .await?;
    Ok(Json(json!({ "scorer": scorer(&found) })))
}

pub(super) async fn delete(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let experiment = args.required_text("experiment_id")?;
    let name = args.required_text("name")?;
    evaluation
        .delete_scorer(&experiment, name, args.integer("version")?)
        .await?;
    Ok(Json(json!({})))
}

/// Clients ask with every list for what judges by itself. Nothing does here, and nothing can be told to.
pub(super) async fn online_configs(args: Args) -> Answer {
    if args.texts("scorer_ids")?.is_empty() {
        return Err(WireError::missing("scorer_ids").into());
    }
    Ok(Json(json!({ "configs": [] })))
}

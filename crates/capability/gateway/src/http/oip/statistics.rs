//! `GET …/stats`: counts and times of requests and of the runs that they were joined to.

use std::sync::Arc;

use axum::extract::State;
use corliss_engine::protocol::{ComputeStats, Took};
use corliss_http::{ApiError, Json, Path};
use serde_json::{Value, json};

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::infer::ModelStatistics;

pub(super) async fn all(State(gateway): State<Arc<Gateway>>) -> Result<Json<Value>, ApiError> {
    answer(&gateway, None, None).await
}

pub(super) async fn one(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
) -> Result<Json<Value>, ApiError> {
    answer(&gateway, Some(&target.model), target.version.as_deref()).await
}

async fn answer(
    gateway: &Gateway,
    name: Option<&str>,
    version: Option<&str>,
) -> Result<Json<Value>, ApiError> {
    let all = gateway
        .statistics(name, version)
        .await
        .map_err(GatewayError::into_api)?;
    Ok(Json(
        json!({ "model_stats": all.iter().map(view).collect::<Vec<_>>() }),
    ))
}

/// The cache of answers that the protocol counts does not exist here, so it was asked never.
fn view(model: &ModelStatistics) -> Value {
    let stats = &model.stats;
    let batches = stats.batches.iter().map(|(rows, compute)| {
        let ComputeStats { input, infer, output } = compute;
        json!({
            "batch_size": rows, "compute_input": input, "compute_infer": infer, "compute_output": output
        })
    });
    json!({
        "name": model.name,
        "version": model.version,
        "last_inference": stats.last_ms,
        "inference_count": stats.inferences,
        "execution_count": stats.executions,
        "inference_stats": {
            "success": stats.success,
            "fail": stats.fail,
            "queue": stats.queue,
            "compute_input": stats.compute.input,
            "compute_infer": stats.compute.infer,
            "compute_output": stats.compute.output,
            "cache_hit": Took::default(),
            "cache_miss": Took::default(),
        },
        "batch_stats": batches.collect::<Vec<_>>(),
    })
}

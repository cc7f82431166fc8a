//! `runs/{log-metric,log-parameter,log-batch,set-tag,delete-tag}`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::{Args, WireError};
use serde_json::json;

use super::{Answer, answer};
use crate::limits;
use crate::service::{Batch, Tracking};
use crate::types::{KeyValue, Metric};

pub(super) async fn metric(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    let metric = read_metric(&args, "")?;
    tracking.log_metric(run_id, metric).await?;
    Ok(Json(json!({})))
}

/// A metric as sent; `path` stands before a field's name in a refusal.
fn read_metric(args: &Args, path: &str) -> Result<Metric, WireError> {
    let field = |name: &str| format!("{path}{name}");
    let key = args
        .text("key")?
        .filter(|key| !key.is_empty())
        .ok_or_else(|| WireError::missing(&field("key")))?;
    if !args.has("value") {
        return Err(WireError::missing(&field("value")));
    }
    let optional = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    Ok(Metric {
        key,
        value: args.required_real("value")?,
        logged_ms: args
            .integer("timestamp")?
            .ok_or_else(|| WireError::missing(&field("timestamp")))?,
        step: args.integer("step")?.unwrap_or(0),
        model_id: optional("model_id")?,
        dataset: optional("dataset_name")?.zip(optional("dataset_digest")?),
    })
}

pub(super) async fn parameter(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    tracking.log_param(run_id, pair(&args)?).await?;
    Ok(Json(json!({})))
}

pub(super) async fn batch(State(tracking): State<Tracking>, args: Args) -> Answer {
    if args.size_bytes() > limits::BATCH_BODY_BYTES {
        return Err(WireError::new(format!(
            "Batched logging API requests must be at most {} bytes, got a request of size {}.",
            limits::BATCH_BODY_BYTES,
            args.size_bytes()
        ))
        .into());
    }
    let run_id = args.run_id()?;
    let metrics = args.objects("metrics")?;
    let metrics = metrics
        .iter()
        .enumerate()
        .map(|(index, args)| read_metric(args, &format!("metrics[{index}].")));
    let batch = Batch {
        metrics: metrics.collect::<Result<_, _>>()?,
        params: answer::read_pairs(&args, "params")?,
        tags: answer::read_pairs(&args, "tags")?,
    };
    tracking.log_batch(run_id, batch).await?;
    Ok(Json(json!({})))
}

pub(super) async fn set_tag(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    tracking.set_tag(run_id, pair(&args)?).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    tracking.delete_tag(run_id, args.required_text("key")?).await?;
    Ok(Json(json!({})))
}

fn pair(args: &Args) -> Result<KeyValue, WireError> {
    Ok(KeyValue::new(
        args.required_text("key")?,
        args.text("value")?.unwrap_or_default(),
    ))
}

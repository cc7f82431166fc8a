//! What both versions do to traces in the same way: tags, links, deletion.

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::json;

use super::Answer;
use crate::service::{DeleteScope, Traces, experiment_id};

pub(super) async fn set(State(traces): State<Traces>, Path(trace_id): Path<String>, args: Args) -> Answer {
    let key = args.required_text("key")?;
    let value = args.text("value")?.unwrap_or_default();
    traces.set_tag(trace_id, key, value).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete(State(traces): State<Traces>, Path(trace_id): Path<String>, args: Args) -> Answer {
    traces.delete_tag(trace_id, args.required_text("key")?).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_traces(State(traces): State<Traces>, args: Args) -> Answer {
    let deleted = traces
        .delete_traces(DeleteScope {
            experiment_id: experiment_id(&args.required_text("experiment_id")?)?,
            until_ms: args.integer("max_timestamp_millis")?,
            most: args.integer("max_traces")?,
            trace_ids: args.texts("request_ids")?,
        })
        .await?;
    Ok(Json(json!({ "traces_deleted": deleted })))
}

pub(super) async fn link_to_run(State(traces): State<Traces>, args: Args) -> Answer {
    let trace_ids = args.texts("trace_ids")?;
    if trace_ids.is_empty() {
        return Err(WireError::missing("trace_ids").into());
    }
    traces
        .link_to_run(trace_ids, args.required_text("run_id")?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn link_prompts(State(traces): State<Traces>, args: Args) -> Answer {
    let trace_id = args.required_text("trace_id")?;
    let versions = args.objects("prompt_versions")?;
    if versions.is_empty() {
        return Err(WireError::missing("prompt_versions").into());
    }
    let prompts = versions
        .iter()
        .map(|version| {
            Ok(format!(
                "{}/{}",
                version.required_text("name")?,
                version.required_text("version")?
            ))
        })
        .collect::<Result<_, WireError>>()?;
    traces.link_prompts(trace_id, prompts).await?;
    Ok(Json(json!({})))
}

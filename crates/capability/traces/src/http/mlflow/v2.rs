//! Version 2, which older clients speak: `traces`, `traces/{request_id}` and `traces/{request_id}/info`.

use std::collections::BTreeMap;

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer, v3};
use crate::service::{EndedTrace, StartedTrace, Traces, experiment_id};

/// Pairs as a list of keys and values; the last of a key counts.
fn pairs(args: &Args, list: &str) -> Result<BTreeMap<String, String>, WireError> {
    args.objects(list)?
        .iter()
        .enumerate()
        .map(|(index, pair)| {
            let key = pair
                .text("key")?
                .ok_or_else(|| WireError::missing(&format!("{list}[{index}].key")))?;
            Ok((key, pair.text("value")?.unwrap_or_default()))
        })
        .collect()
}

pub(super) async fn start(State(traces): State<Traces>, args: Args) -> Answer {
    let info = traces
        .begin_trace(StartedTrace {
            experiment_id: experiment_id(&args.required_text("experiment_id")?)?,
            request_ms: args.integer("timestamp_ms")?.unwrap_or(0),
            metadata: pairs(&args, "request_metadata")?,
            tags: pairs(&args, "tags")?,
        })
        .await?;
    Ok(Json(json!({ "trace_info": answer::info_v2(&info) })))
}

pub(super) async fn end(State(traces): State<Traces>, Path(trace_id): Path<String>, args: Args) -> Answer {
    let info = traces
        .end_trace(EndedTrace {
            trace_id,
            end_ms: args.integer("timestamp_ms")?.unwrap_or(0),
            state: v3::read_state(&args, "status")?,
            metadata: pairs(&args, "request_metadata")?,
            tags: pairs(&args, "tags")?,
        })
        .await?;
    Ok(Json(json!({ "trace_info": answer::info_v2(&info) })))
}

pub(super) async fn info(State(traces): State<Traces>, Path(trace_id): Path<String>) -> Answer {
    let info = traces.info(trace_id).await?;
    Ok(Json(json!({ "trace_info": answer::info_v2(&info) })))
}

pub(super) async fn search(State(traces): State<Traces>, args: Args) -> Answer {
    let experiments = v3::experiments(&args)?;
    if experiments.is_empty() {
        return Err(WireError::missing("experiment_ids").into());
    }
    let page = traces.search(v3::scope(&args, experiments)?).await?;
    let items: Value = page.items.iter().map(answer::info_v2).collect();
    Ok(Json(answer::page("traces", items, page.next_page_token)))
}

//! `get-trace-artifact`: the spans of a trace as the file that pages read.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_diagnostics::Meaning;
use corliss_http::ApiError;
use corliss_mlflow_wire::Args;
use http::header;

use crate::json::spaced;
use crate::{Traces, TracesError};

pub(super) async fn get(State(traces): State<Traces>, args: Args) -> Result<Response, ApiError> {
    let trace_id = args
        .text("request_id")?
        .filter(|id| !id.is_empty())
        .ok_or_else(|| {
            ApiError::new(
                Meaning::InvalidInput,
                "trace_id_missing",
                "Request must include the \"request_id\" query parameter.",
            )
            .with_foreign_code("BAD_REQUEST")
        })?;
    if let Some(path) = args.text("path")?.filter(|path| !path.is_empty()) {
        traces.info(trace_id.clone()).await?;
        return Err(
            TracesError::NotFound(format!("Trace with ID '{trace_id}' has no attachment '{path}'.")).into(),
        );
    }
    // A page shows a trace while it goes on.
    let trace = traces.trace(trace_id, true).await?;
    let spans: Vec<String> = trace.spans.iter().map(spaced).collect();
    let file = format!("{{\"spans\":[{}]}}", spans.join(","));
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=traces.json"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, file).into_response())
}

//! `get-trace-artifact`: the spans of a trace as the file that pages read, and its attachments.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_diagnostics::Meaning;
use corliss_http::ApiError;
use corliss_mlflow_wire::Args;
use http::header;

use crate::Traces;
use crate::json::spaced;
use crate::service::apart;

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
    if let Some(name) = args.text("path")?.filter(|path| !path.is_empty()) {
        let (size_bytes, bytes) = traces.attachment(trace_id, &name).await?;
        // Always an attachment of an opaque kind: what a client sent must not run in the console's origin.
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_LENGTH, size_bytes.to_string()),
            (header::CONTENT_DISPOSITION, "attachment".to_owned()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        return Ok((headers, Body::from_stream(bytes)).into_response());
    }
    // A page shows a trace while it goes on.
    let trace = traces.trace(trace_id, true).await?;
    let file = apart(move || {
        let spans: Vec<String> = trace.spans.iter().map(spaced).collect();
        format!("{{\"spans\":[{}]}}", spans.join(","))
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=traces.json"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, file).into_response())
}

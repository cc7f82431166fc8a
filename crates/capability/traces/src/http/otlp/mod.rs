//! OpenTelemetry's protocol over HTTP: `POST /v1/traces`, as protobuf or JSON, plain or packed.
//!
//! What was left out of a request that was taken is told in the answer's partial success. A refusal has the shape of
//! MLflow's, whose client reads it; its member `message` is also that of the status that OpenTelemetry specifies.

mod draft;
mod json;
mod protobuf;
mod wire;

use std::io::Read;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Dialect, Json, RawBody, Routes};
use corliss_mlflow_wire::WireError;
use corliss_types::{Access, Permission};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, Method, StatusCode, header};

use crate::service::{SpanBatch, Traces, apart, experiment_id};
use crate::{TracesError, limits};
use wire::Broken;

const EXPERIMENT_HEADER: &str = "x-mlflow-experiment-id";
const RUN_HEADER: &str = "x-mlflow-run-id";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub(super) fn routes(traces: Traces) -> Routes {
    Routes::new()
        .route(
            Method::POST,
            "/v1/traces",
            Access::Requires(Permission::TrackingWrite),
            Dialect::Mlflow,
            post(export).with_state(traces),
        )
        .body_limit(limits::SPANS_BODY_BYTES)
}

async fn export(
    State(traces): State<Traces>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let kind = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_json = match kind.split(';').next().unwrap_or_default().trim() {
        PROTOBUF => false,
        JSON => true,
        other => {
            return Err(ApiError::new(
                Meaning::InvalidInput,
                "spans_content_type",
                format!("Invalid Content-Type: {other}. Expected: {PROTOBUF} or {JSON}"),
            )
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
    };
    let experiment = text(EXPERIMENT_HEADER).ok_or_else(|| WireError::missing(EXPERIMENT_HEADER))?;
    let experiment_id = experiment_id(experiment)?;
    let run_id = text(RUN_HEADER)
        .filter(|run_id| !run_id.is_empty())
        .map(str::to_owned);
    let encoding = text(header::CONTENT_ENCODING.as_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (spans, refused) = apart(move || decode(&body, &encoding, is_json)).await??;
    if spans.is_empty() && refused.is_empty() {
        return Ok(answer(is_json, &crate::Ingested::default()));
    }
    let batch = SpanBatch {
        experiment_id,
        run_id,
        spans,
        refused,
    };
    Ok(answer(is_json, &traces.log_spans(batch).await?))
}

fn answer(is_json: bool, ingested: &crate::Ingested) -> Response {
    if is_json {
        return Json(json::answer(ingested)).into_response();
    }
    ([(header::CONTENT_TYPE, PROTOBUF)], protobuf::answer(ingested)).into_response()
}

fn decode(body: &Bytes, encoding: &str, is_json: bool) -> Result<protobuf::Decoded, TracesError> {
    const MOST: u64 = limits::SPANS_UNPACKED_BYTES;
    let unpacked;
    let bytes: &[u8] = match encoding {
        "" | "identity" => body,
        "gzip" => {
            unpacked = unpack(GzDecoder::new(body.as_ref()), "gzip", MOST)?;
            &unpacked
        }
        "deflate" => {
            // Some clients leave out the frame that the name means.
            unpacked = match unpack(ZlibDecoder::new(body.as_ref()), "deflate", MOST) {
                Err(TracesError::Malformed(_)) => {
                    unpack(DeflateDecoder::new(body.as_ref()), "deflate", MOST)?
                }
                other => other?,
            };
            &unpacked
        }
        other => {
            return Err(TracesError::Malformed(format!(
                "Unsupported Content-Encoding: {other}"
            )));
        }
    };
    let decoded = if is_json {
        json::decode(bytes)
    } else {
        protobuf::decode(bytes)
    };
    decoded.map_err(|broken| match broken {
        Broken::Malformed(why) => TracesError::Malformed(format!("Invalid OpenTelemetry format: {why}")),
        Broken::TooMany => TracesError::too_many(
            "resource_spans",
            "values",
            limits::VALUES_PER_CALL,
            "send the spans in several calls",
        ),
    })
}

/// The bytes in a packed body; of one that holds more than `most`, no more than that are unpacked.
fn unpack(packed: impl Read, encoding: &str, most: u64) -> Result<Vec<u8>, TracesError> {
    let mut bytes = Vec::new();
    packed
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| TracesError::Malformed(format!("Failed to decompress {encoding} payload")))?;
    if bytes.len() as u64 > most {
        return Err(TracesError::Limit {
            field: "body",
            message: format!("the body has more than {most} bytes when unpacked"),
            hint: "send the spans in several calls",
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_not_unpacked_beyond_its_limit() {
        let body = vec![7; 10_000];
        assert_eq!(unpack(body.as_slice(), "gzip", 10_000).unwrap(), body);
        let refused = unpack(std::io::repeat(0), "gzip", 10_000).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the body has more than 10000 bytes when unpacked"
        );
    }
}

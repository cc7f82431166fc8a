//! `POST …/infer`, with tensors in the JSON or behind it, either way.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use corliss_diagnostics::Meaning;
use corliss_engine::protocol::{JSON_LENGTH_HEADER, TensorMessage};
use corliss_http::{ApiError, Path, RawBody};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;

pub(super) async fn infer(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
    origin: Origin,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    plain(&origin.headers)?;
    let message = TensorMessage {
        pieces: vec![body],
        json_bytes: json_bytes(&origin.headers)?,
    };
    let answer = gateway
        .infer(&target.model, target.version.as_deref(), origin, message)
        .await
        .map_err(GatewayError::into_api)?;
    Ok(respond(answer))
}

fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(JSON_LENGTH_HEADER) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| {
        ApiError::new(
            Meaning::InvalidInput,
            "json_length_invalid",
            "the header Inference-Header-Content-Length must be a whole number of bytes",
        )
        .with_field(JSON_LENGTH_HEADER)
    })
}

/// Packed bodies are not taken: tensors hardly shrink, and a small one may unpack to any size.
fn plain(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding == "identity" => Ok(()),
        Some(_) => Err(ApiError::new(
            Meaning::InvalidInput,
            "content_encoding_unsupported",
            "compressed requests are not supported",
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_hint("send the body as it is")),
    }
}

fn respond(message: TensorMessage) -> Response {
    let kind = match message.json_bytes {
        None => "application/json",
        Some(_) => "application/octet-stream",
    };
    let body = match <[Bytes; 1]>::try_from(message.pieces) {
        Ok([whole]) => Body::from(whole),
        Err(pieces) => Body::from(pieces.concat()),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(length) = message.json_bytes {
        headers.insert(JSON_LENGTH_HEADER, HeaderValue::from(length));
    }
    response
}

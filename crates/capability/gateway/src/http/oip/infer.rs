//! `POST …/infer`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Path, RawBody};
use http::header;

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;

const BINARY_HEADER: &str = "inference-header-content-length";

pub(super) async fn infer(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
    origin: Origin,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    if origin.headers.contains_key(BINARY_HEADER) {
        return Err(ApiError::new(
            Meaning::InvalidInput,
            "binary_tensors_unsupported",
            "tensors in binary form are not supported",
        )
        .with_hint("send JSON; with tritonclient, binary_data=False for inputs and outputs"));
    }
    let answer: Bytes = gateway
        .infer(&target.model, target.version.as_deref(), origin, body)
        .await
        .map_err(GatewayError::into_api)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

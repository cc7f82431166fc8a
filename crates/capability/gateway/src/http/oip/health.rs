//! Probes: the server's are public, a model's tell whether one of its replicas takes requests.

use std::sync::Arc;

use axum::extract::State;
use corliss_http::{ApiError, Json, Path};
use http::StatusCode;
use serde_json::{Value, json};

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

pub(super) async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    answer(gateway.is_ready(), json!({}))
}

pub(super) async fn model_ready(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let endpoint = gateway.endpoint(&target.model).map_err(GatewayError::into_api)?;
    if let Some(version) = &target.version {
        endpoint.version_asked(version).map_err(GatewayError::into_api)?;
    }
    Ok(answer(endpoint.is_ready(), json!({ "name": endpoint.name() })))
}

/// Clients look at the status only.
fn answer(ready: bool, mut body: Value) -> (StatusCode, Json<Value>) {
    body["ready"] = json!(ready);
    (
        if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        Json(body),
    )
}

//! Metadata of the server and of a model.

use std::sync::Arc;

use axum::extract::State;
use corliss_http::{ApiError, Json, Path};
use serde_json::{Value, json};

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;

pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": "corliss", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }))
}

pub(super) async fn model(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
) -> Result<Json<Value>, ApiError> {
    let metadata = gateway
        .metadata(&target.model, target.version.as_deref())
        .await
        .map_err(GatewayError::into_api)?;
    Ok(Json(json!({
        "name": metadata.name,
        "versions": metadata.versions,
        "platform": metadata.platform,
        "inputs": metadata.inputs,
        "outputs": metadata.outputs,
    })))
}

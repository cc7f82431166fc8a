//! Metadata of the server and of a model.

use std::sync::Arc;

use axum::extract::State;
use corliss_http::{ApiError, Json, Path};
use serde_json::{Value, json};

use super::Target;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;

pub(super) const SERVER: &str = "corliss";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Triton's words for what is there beyond the protocol itself.
pub(super) const EXTENSIONS: [&str; 4] = [
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "statistics",
];

pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": SERVER, "version": VERSION, "extensions": EXTENSIONS }))
}

pub(super) async fn model(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<Target>,
    origin: Origin,
) -> Result<Json<Value>, ApiError> {
    let metadata = gateway
        .metadata(&target.model, target.version.as_deref(), origin)
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

//! `GET /v1/models`: the endpoints that serve language models.

use std::sync::Arc;

use axum::extract::State;
use corliss_http::{ApiError, Json, Path};
use corliss_types::Flavor;
use serde_json::{Value, json};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;

pub(super) async fn list(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let endpoints = gateway.endpoints();
    let models: Vec<Value> = endpoints
        .iter()
        .filter(|endpoint| endpoint.flavor() == Flavor::Gguf)
        .map(|endpoint| view(endpoint))
        .collect();
    Json(json!({ "object": "list", "data": models }))
}

pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Path(model): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let endpoint = gateway
        .language_endpoint(&model)
        .map_err(GatewayError::into_api)?;
    Ok(Json(view(&endpoint)))
}

fn view(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.name(),
        "object": "model",
        "created": endpoint.known_since().as_millis() / 1000,
        "owned_by": "corliss",
    })
}

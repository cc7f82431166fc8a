//! `GET /v1/models`: the endpoints that serve language models, by whomever, in OpenAI's words. KServe's first version asks at the same
//! addresses, about models of any kind; each reads its members and passes over the other's.

use std::sync::Arc;

use axum::extract::State;
use corliss_http::{ApiError, Json, Path};
use serde_json::{Value, json};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;

pub(super) async fn list(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let endpoints = gateway.endpoints();
    let models: Vec<Value> = endpoints
        .iter()
        .filter(|endpoint| endpoint.speaks())
        .map(|endpoint| view(endpoint))
        .collect();
    let names: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name()).collect();
    Json(json!({ "object": "list", "data": models, "models": names }))
}

pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Path(model): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let endpoint = gateway.endpoint(&model).map_err(GatewayError::into_api)?;
    let mut answer = if endpoint.speaks() {
        view(&endpoint)
    } else {
        json!({})
    };
    answer["name"] = json!(endpoint.name());
    answer["ready"] = json!(endpoint.is_ready());
    Ok(Json(answer))
}

fn view(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.name(),
        "object": "model",
        "created": endpoint.known_since().as_millis() / 1000,
        "owned_by": "corliss",
    })
}

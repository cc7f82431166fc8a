//! KServe's protocol, version 1: `POST /v1/models/NAME:predict`.

use std::sync::Arc;

use axum::extract::State;
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Json, Path};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{ask, predict};
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;

#[derive(Serialize)]
pub(super) struct Answer {
    predictions: Box<RawValue>,
}

pub(super) async fn act(
    State(gateway): State<Arc<Gateway>>,
    Path(target): Path<String>,
    origin: Origin,
    Json(body): Json<Map<String, Value>>,
) -> Result<Json<Answer>, ApiError> {
    let Some(name) = target.strip_suffix(":predict") else {
        let message = "what is to be done with the model is not named, or not known";
        return Err(ApiError::new(Meaning::NotFound, "model_action_unknown", message)
            .with_hint("POST /v1/models/NAME:predict"));
    };
    let predictions = answer(&gateway, name, origin, body)
        .await
        .map_err(GatewayError::into_api)?;
    Ok(Json(Answer { predictions }))
}

async fn answer(
    gateway: &Gateway,
    name: &str,
    origin: Origin,
    mut body: Map<String, Value>,
) -> Result<Box<RawValue>, GatewayError> {
    let instances = match body.remove("instances") {
        Some(Value::Array(rows)) => rows,
        Some(_) => {
            return Err(ask::invalid(
                "instances",
                "must be a list with an entry for each row",
            ));
        }
        None => return Err(ask::invalid("instances", "is missing")),
    };
    if let Some(name) = body.keys().next() {
        return Err(GatewayError::UnsupportedParameter {
            parameter: name.chars().take(80).collect(),
            instead: None,
        });
    }
    predict(gateway, name, origin, |model| {
        ask::of_rows(model, "instances", instances)
    })
    .await
}

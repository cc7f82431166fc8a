//! Dialects that send rows where the Open Inference Protocol sends tensors: KServe's version 1 and MLflow's scoring.

mod answer;
mod ask;
mod kserve;
mod mlflow;

use std::sync::Arc;

use axum::routing::{get, post};
use corliss_engine::protocol::{Metadata, TensorMessage};
use corliss_http::{Dialect, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::value::RawValue;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;
use ask::Given;

/// Rows are held as values, which may take sixteen times the room of their text. What is larger is sent as tensors.
const ROWS_MAX_BYTES: u64 = 16 << 20;

const INFER: Access = Access::Requires(Permission::Infer);

pub(super) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let state = || gateway.clone();
    let limit = gateway.config().tensor_max_bytes.min(ROWS_MAX_BYTES);
    Routes::new()
        // A path cannot be split at a colon, so the name and what is to be done come as one.
        .route(
            Method::POST,
            "/v1/models/{model}",
            INFER,
            Dialect::OpenInference,
            post(kserve::act).with_state(state()),
        )
        .body_limit(limit)
        .streaming()
        .route(
            Method::POST,
            "/endpoints/{endpoint}/invocations",
            INFER,
            Dialect::Mlflow,
            post(mlflow::invoke).with_state(state()),
        )
        .body_limit(limit)
        .streaming()
        .route(
            Method::GET,
            "/endpoints/{endpoint}/ping",
            INFER,
            Dialect::Mlflow,
            get(mlflow::ping).with_state(state()),
        )
        .route(
            Method::GET,
            "/endpoints/{endpoint}/version",
            INFER,
            Dialect::Mlflow,
            get(mlflow::version),
        )
}

/// Asks the endpoint's model for what was given, and gives its outputs as JSON.
async fn predict(
    gateway: &Gateway,
    name: &str,
    origin: Origin,
    given: impl FnOnce(&Metadata) -> Result<Given, GatewayError>,
) -> Result<Box<RawValue>, GatewayError> {
    gateway.tensor_endpoint(name, None)?;
    let metadata = gateway.metadata(name, None, origin.clone()).await?;
    let given = given(&metadata)?;
    let request = TensorMessage::of_json(given.body()?);
    let outputs = gateway.infer(name, None, origin, request).await?;
    answer::read(&outputs.pieces.concat(), given.rows)
}

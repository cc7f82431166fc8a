//! The Open Inference Protocol, version 2, over REST.

mod health;
mod infer;
mod metadata;

use std::sync::Arc;

use axum::routing::{get, post};
use corliss_http::{Dialect, Routes};
use corliss_types::{Access, Permission};
use http::Method;

use crate::service::Gateway;

pub(super) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let infer = Access::Requires(Permission::Infer);
    let oip = Dialect::OpenInference;
    let state = || gateway.clone();
    let mut routes = Routes::new()
        .route(Method::GET, "/v2", infer, oip, get(metadata::server))
        .route(
            Method::GET,
            "/v2/health/live",
            Access::Public,
            oip,
            get(health::live),
        )
        .route(
            Method::GET,
            "/v2/health/ready",
            Access::Public,
            oip,
            get(health::ready).with_state(state()),
        );
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        routes = routes
            .route(
                Method::GET,
                model,
                infer,
                oip,
                get(metadata::model).with_state(state()),
            )
            .route(
                Method::GET,
                &format!("{model}/ready"),
                infer,
                oip,
                get(health::model_ready).with_state(state()),
            )
            .route(
                Method::POST,
                &format!("{model}/infer"),
                infer,
                oip,
                post(infer::infer).with_state(state()),
            )
            .body_limit(gateway.config().tensor_max_bytes)
            .streaming();
    }
    routes
}

/// The model of a path, and the version if the path names one.
#[derive(serde::Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

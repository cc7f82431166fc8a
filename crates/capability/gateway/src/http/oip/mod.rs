//! The Open Inference Protocol, version 2, over REST and gRPC, with these of Triton's extensions: tensors as bytes,
//! repository, statistics and configuration.

mod grpc;
mod health;
mod infer;
mod metadata;
mod model_config;
mod repository;
mod shared_memory;
mod statistics;

use std::sync::Arc;

use axum::routing::{get, post};
use corliss_http::{Dialect, Routes};
use corliss_types::{Access, Permission};
use http::Method;

use crate::ports::Repository;
use crate::service::Gateway;
use repository::Shelf;

const INFER: Access = Access::Requires(Permission::Infer);
const DEPLOY: Access = Access::Requires(Permission::EndpointsWrite);
const OIP: Dialect = Dialect::OpenInference;

pub(super) fn routes(gateway: &Arc<Gateway>, repository: Arc<dyn Repository>) -> Routes {
    let state = || gateway.clone();
    let shelf = Shelf {
        gateway: gateway.clone(),
        repository,
    };
    let mut routes = Routes::new()
        .route(Method::GET, "/v2", INFER, OIP, get(metadata::server))
        .route(
            Method::GET,
            "/v2/health/live",
            Access::Public,
            OIP,
            get(health::live),
        )
        .route(
            Method::GET,
            "/v2/health/ready",
            Access::Public,
            OIP,
            get(health::ready).with_state(state()),
        )
        .route(
            Method::GET,
            "/v2/models/stats",
            INFER,
            OIP,
            get(statistics::all).with_state(state()),
        );
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        routes = routes.merge(of_model(gateway, model));
    }
    routes
        .merge(of_repository(&shelf))
        .merge(shared_memory::routes())
        .merge(grpc::routes(gateway, &shelf))
}

/// Routes of one model, whose path may name a version.
fn of_model(gateway: &Arc<Gateway>, model: &str) -> Routes {
    let state = || gateway.clone();
    Routes::new()
        .route(
            Method::GET,
            model,
            INFER,
            OIP,
            get(metadata::model).with_state(state()),
        )
        .route(
            Method::GET,
            &format!("{model}/ready"),
            INFER,
            OIP,
            get(health::model_ready).with_state(state()),
        )
        .route(
            Method::GET,
            &format!("{model}/config"),
            INFER,
            OIP,
            get(model_config::show).with_state(state()),
        )
        .route(
            Method::GET,
            &format!("{model}/stats"),
            INFER,
            OIP,
            get(statistics::one).with_state(state()),
        )
        .route(
            Method::POST,
            &format!("{model}/infer"),
            INFER,
            OIP,
            post(infer::infer).with_state(state()),
        )
        .body_limit(gateway.config().tensor_max_bytes)
        .streaming()
}

fn of_repository(shelf: &Shelf) -> Routes {
    let state = || shelf.clone();
    Routes::new()
        .route(
            Method::POST,
            "/v2/repository/index",
            INFER,
            OIP,
            post(repository::index).with_state(state()),
        )
        .route(
            Method::POST,
            "/v2/repository/models/{model}/load",
            DEPLOY,
            OIP,
            post(repository::load).with_state(state()),
        )
        // Whoever deploys says how long a model may take to load.
        .streaming()
        .route(
            Method::POST,
            "/v2/repository/models/{model}/unload",
            DEPLOY,
            OIP,
            post(repository::unload).with_state(state()),
        )
}

/// The model of a path, and the version if the path names one.
#[derive(serde::Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

//! The Open Inference Protocol over gRPC: each method is a route of its own, so that each declares its access.

mod about;
mod call;
mod contents;
mod infer;
mod messages;
mod repository;

use std::sync::Arc;

use axum::routing::{MethodRouter, post};
use corliss_http::{Dialect, Routes};
use corliss_types::Access;
use http::Method;

use super::repository::Shelf;
use super::{DEPLOY, INFER};
use crate::service::Gateway;

pub(super) fn routes(gateway: &Arc<Gateway>, shelf: &Shelf) -> Routes {
    let state = || gateway.clone();
    let shelf = || shelf.clone();
    let tensors = gateway.config().tensor_max_bytes;
    let questions = [
        ("ServerLive", Access::Public, post(about::live)),
        (
            "ServerReady",
            Access::Public,
            post(about::ready).with_state(state()),
        ),
        ("ServerMetadata", INFER, post(about::server)),
        ("ModelReady", INFER, post(about::model_ready).with_state(state())),
        ("ModelMetadata", INFER, post(about::model).with_state(state())),
        ("ModelConfig", INFER, post(about::config).with_state(state())),
        (
            "ModelStatistics",
            INFER,
            post(about::statistics).with_state(state()),
        ),
        (
            "RepositoryIndex",
            INFER,
            post(repository::index).with_state(shelf()),
        ),
        (
            "RepositoryModelUnload",
            DEPLOY,
            post(repository::unload).with_state(shelf()),
        ),
    ];
    let mut routes = Routes::new();
    for (name, access, handler) in questions {
        routes = method(routes, name, access, handler);
    }
    routes = method(
        routes,
        "RepositoryModelLoad",
        DEPLOY,
        post(repository::load).with_state(shelf()),
    )
    .streaming();
    routes = method(
        routes,
        "ModelInfer",
        INFER,
        post(infer::infer).with_state(state()),
    )
    // A message of the largest size has its length before it.
    .body_limit(tensors + 5)
    .streaming();
    // A stream may be as long as it likes; each of its messages has the limit.
    method(
        routes,
        "ModelStreamInfer",
        INFER,
        post(infer::stream).with_state(state()),
    )
    .body_limit(u64::MAX)
    .streaming()
}

fn method(routes: Routes, name: &str, access: Access, handler: MethodRouter) -> Routes {
    let path = format!("/inference.GRPCInferenceService/{name}");
    routes.route(Method::POST, &path, access, Dialect::Grpc, handler)
}

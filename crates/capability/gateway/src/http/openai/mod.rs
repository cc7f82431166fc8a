//! OpenAI's API: models, completions and chat completions, streamed or whole, and embeddings.

mod answer;
mod chat;
mod completions;
mod embeddings;
mod format;
mod logprobs;
mod messages;
mod models;
mod parameters;
mod sampling;
mod stream;
mod texts;
mod tools;

use std::sync::Arc;

use axum::routing::{get, post};
use corliss_http::{Dialect, Routes};
use corliss_types::{Access, Permission};
use http::Method;

use crate::service::Gateway;

pub(super) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let infer = Access::Requires(Permission::Infer);
    let state = || gateway.clone();
    let limit = gateway.config().prompt_max_bytes;
    Routes::new()
        .route(
            Method::GET,
            "/v1/models",
            infer,
            Dialect::OpenAi,
            get(models::list).with_state(state()),
        )
        .route(
            Method::GET,
            "/v1/models/{model}",
            infer,
            Dialect::OpenAi,
            get(models::show).with_state(state()),
        )
        .route(
            Method::POST,
            "/v1/completions",
            infer,
            Dialect::OpenAi,
            post(completions::create).with_state(state()),
        )
        .body_limit(limit)
        .streaming()
        .route(
            Method::POST,
            "/v1/chat/completions",
            infer,
            Dialect::OpenAi,
            post(chat::create).with_state(state()),
        )
        .body_limit(limit)
        .streaming()
        .route(
            Method::POST,
            "/v1/embeddings",
            infer,
            Dialect::OpenAi,
            post(embeddings::create).with_state(state()),
        )
        .body_limit(limit)
        .streaming()
}

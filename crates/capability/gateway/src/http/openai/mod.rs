//! OpenAI's API: models, completions, chat completions and responses, streamed or whole, and embeddings.

mod answer;
mod chat;
mod completions;
mod embeddings;
mod format;
mod forwarded;
mod logprobs;
mod messages;
mod models;
mod parameters;
mod responses;
mod sampling;
mod stream;
mod texts;
mod tools;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use corliss_http::{ApiError, Dialect, JsonBytes, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::{Map, Value};

use crate::service::Gateway;
use crate::service::call::Origin;

/// Answers a request without a path of its own by what it holds: a chat, a prompt, or texts to embed.
pub(super) async fn by_content(
    gateway: Arc<Gateway>,
    origin: Origin,
    body: Map<String, Value>,
) -> Result<Response, ApiError> {
    let (state, has) = (State(gateway), |name| body.contains_key(name));
    let (is_chat, is_prompt, is_input) = (has("messages"), has("prompt"), has("input"));
    let body = JsonBytes(Value::Object(body).to_string().into());
    if is_chat {
        chat::create(state, origin, body).await
    } else if is_prompt {
        completions::create(state, origin, body).await
    } else if is_input {
        embeddings::create(state, origin, body).await
    } else {
        Err(parameters::invalid("body", "must have messages, prompt or input").into_api())
    }
}

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
            "/v1/responses",
            infer,
            Dialect::OpenAi,
            post(responses::create).with_state(state()),
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

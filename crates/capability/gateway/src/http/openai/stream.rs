//! Sending a generation: collected into one body, or piece by piece as server-sent events ending in `[DONE]`.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use corliss_engine::protocol::GenerateRequest;
use corliss_http::{ApiError, Dialect, Json, SseClosed, SseSender, sse};
use http_body_util::BodyExt;
use serde_json::Value;

use super::answer::Answer;
use super::sampling::Delivery;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;
use crate::service::generate::{Generation, Piece};

/// Events that a slow client may leave untaken before the engine is made to wait.
const EVENTS_MAX: usize = 32;

/// Generates for this request and answers with it.
pub(super) async fn send(
    gateway: &Gateway,
    endpoint: Arc<Endpoint>,
    request: &GenerateRequest,
    answer: Answer,
    delivery: Delivery,
) -> Result<Response, GatewayError> {
    if !delivery.stream {
        return Ok(Json(answer.whole(&gateway.generate_whole(endpoint, request).await?)).into_response());
    }
    let generation = gateway.generate(endpoint, request).await?;
    let (sender, response) = sse(EVENTS_MAX);
    tokio::spawn(async move {
        let closed = sender.clone();
        tokio::select! {
            // Dropping the generation closes the engine's connection, which ends its work.
            () = closed.closed() => {}
            _ = pump(generation, answer, delivery.include_usage, sender) => {}
        }
    });
    Ok(response)
}

async fn pump(
    mut generation: Generation,
    mut answer: Answer,
    include_usage: bool,
    sender: SseSender,
) -> Result<(), SseClosed> {
    // With usage asked for, every event has the member and only the last one a value.
    let event = |mut value: Value| {
        if include_usage && value.get("usage").is_none() {
            value["usage"] = Value::Null;
        }
        value.to_string()
    };
    if let Some(opening) = answer.opening() {
        sender.data(&event(opening)).await?;
    }
    loop {
        match generation.next().await {
            Ok(Piece::Text { text, logprobs }) => {
                let piece = answer.piece(&text, &logprobs);
                sender.data(&event(piece)).await?;
            }
            Ok(Piece::End {
                finish_reason,
                completion_tokens,
            }) => {
                sender.data(&event(answer.closing(finish_reason))).await?;
                if include_usage {
                    let counting = answer.counting(generation.prompt, completion_tokens);
                    sender.data(&event(counting)).await?;
                }
                return sender.data("[DONE]").await;
            }
            // The status is long sent: the error is an event, and no [DONE] follows, so that nobody takes
            // half an answer for a whole one.
            Err(error) => return sender.data(&body_of(error.into_api()).await).await,
        }
    }
}

async fn body_of(error: ApiError) -> String {
    match error.render(Dialect::OpenAi).into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => "{\"error\":{\"message\":\"the generation failed\"}}".to_owned(),
    }
}

//! Sending generations: collected into one body, or piece by piece as server-sent events ending in `[DONE]`.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Dialect, Json, SseClosed, SseSender, sse};
use http_body_util::BodyExt;
use serde_json::Value;

use super::answer::Answer;
use super::format;
use super::sampling::Asked;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::generate::Piece;
use crate::service::several::{Failed, Generations};

/// Events that a slow client may leave untaken before the engine is made to wait.
const EVENTS_MAX: usize = 32;

/// Generates what was asked for and answers with it.
///
/// # Errors
/// What went wrong, and with which choice.
pub(super) async fn send(
    gateway: &Arc<Gateway>,
    call: &Call,
    asked: Asked,
    answer: Answer,
) -> Result<Response, Failed> {
    let delivery = asked.delivery;
    if !delivery.stream {
        let done = gateway
            .generate_each_whole(call, &asked.requests, asked.of_one_prompt)
            .await?;
        return Ok(Json(answer.whole(&done)).into_response());
    }
    let generations = gateway
        .generate_each(call, &asked.requests, asked.of_one_prompt)
        .await?;
    let format = asked.format;
    let (sender, response) = sse(EVENTS_MAX);
    tokio::spawn(async move {
        let closed = sender.clone();
        tokio::select! {
            // Dropping the generations closes their engines' connections, which ends their work.
            () = closed.closed() => {}
            _ = pump(generations, answer, delivery.include_usage, format, sender) => {}
        }
    });
    Ok(response)
}

async fn pump(
    mut generations: Generations,
    mut answer: Answer,
    include_usage: bool,
    format: Option<String>,
    sender: SseSender,
) -> Result<(), SseClosed> {
    // With usage asked for, every event has the member and only the last one a value.
    let event = |mut value: Value| {
        if include_usage && value.get("usage").is_none() {
            value["usage"] = Value::Null;
        }
        value.to_string()
    };
    for opening in (0..generations.count()).filter_map(|index| answer.opening(index)) {
        sender.data(&event(opening)).await?;
    }
    let mut total = 0;
    while !generations.are_done() {
        match generations.next().await {
            Ok((index, Piece::Text { text, logprobs })) => {
                let piece = answer.piece(index, &text, &logprobs);
                sender.data(&event(piece)).await?;
            }
            Ok((
                index,
                Piece::Call {
                    index: call,
                    name,
                    arguments,
                },
            )) => {
                let piece = answer.call(index, call, name.as_deref(), &arguments);
                sender.data(&event(piece)).await?;
            }
            Ok((
                index,
                Piece::End {
                    finish_reason,
                    completion_tokens,
                    ..
                },
            )) => {
                total += u64::from(completion_tokens);
                sender.data(&event(answer.closing(index, finish_reason))).await?;
            }
            // The status is long sent: the error is an event, and no [DONE] follows, so that nobody takes
            // half an answer for a whole one.
            Err(Failed(_, error)) => {
                let error = format::renamed(error, format.as_deref());
                return sender.data(&body_of(error.into_api()).await).await;
            }
        }
    }
    if include_usage {
        let counting = answer.counting(generations.prompts(), total);
        sender.data(&event(counting)).await?;
    }
    sender.data("[DONE]").await
}

pub(super) async fn body_of(error: ApiError) -> String {
    match error.render(Dialect::OpenAi).into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => "{\"error\":{\"message\":\"the generation failed\"}}".to_owned(),
    }
}

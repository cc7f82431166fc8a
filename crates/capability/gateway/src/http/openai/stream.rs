//! Sending generations: collected into one body, or piece by piece as server-sent events ending in `[DONE]`.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Dialect, Json, SseClosed, SseSender, sse};
use http_body_util::BodyExt;
use serde_json::Value;

use super::answer::Answer;
use super::format;
use super::sampling::{Asked, Usage};
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
            _ = pump(generations, answer, delivery.usage, format, sender) => {}
        }
    });
    Ok(response)
}

async fn pump(
    mut generations: Generations,
    mut answer: Answer,
    usage: Usage,
    format: Option<String>,
    sender: SseSender,
) -> Result<(), SseClosed> {
    let openings: Vec<Value> = (0..generations.count())
        .filter_map(|index| answer.opening(index))
        .collect();
    for opening in openings {
        sender.data(&event(opening, usage, &answer, &generations)).await?;
    }
    while !generations.are_done() {
        match generations.next().await {
            Ok((index, Piece::Text { text, logprobs })) => {
                let piece = answer.piece(index, &text, &logprobs);
                sender.data(&event(piece, usage, &answer, &generations)).await?;
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
                sender.data(&event(piece, usage, &answer, &generations)).await?;
            }
            Ok((index, Piece::End { finish_reason, .. })) => {
                let closing = answer.closing(index, finish_reason);
                sender.data(&event(closing, usage, &answer, &generations)).await?;
            }
            // The status is long sent: the error is an event, and no [DONE] follows, so that nobody takes
            // half an answer for a whole one.
            Err(Failed(_, error)) => {
                let error = format::renamed(error, format.as_deref());
                return sender.data(&body_of(error.into_api()).await).await;
            }
        }
    }
    if usage != Usage::Never {
        let counting = answer.counting(generations.prompts(), generations.answered());
        sender.data(&counting.to_string()).await?;
    }
    sender.data("[DONE]").await
}

/// An event before the last. Where usage is asked for each has the member, and a value if it is asked for in each.
fn event(mut value: Value, usage: Usage, answer: &Answer, generations: &Generations) -> String {
    match usage {
        Usage::Never => {}
        Usage::AtTheEnd => value["usage"] = Value::Null,
        Usage::Always => value["usage"] = answer.usage(generations.prompts(), generations.answered()),
    }
    value.to_string()
}

pub(super) async fn body_of(error: ApiError) -> String {
    match error.render(Dialect::OpenAi).into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => "{\"error\":{\"message\":\"the generation failed\"}}".to_owned(),
    }
}

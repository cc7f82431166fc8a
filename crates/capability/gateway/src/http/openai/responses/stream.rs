//! A response as it grows: numbered events with names, from `response.created` to the one that says how it ended.

use axum::response::Response;
use corliss_engine::protocol::FinishReason;
use corliss_http::{SseClosed, SseSender, sse};
use serde_json::{Value, json};

use super::answer::{Answer, Status, part, usage};
use crate::error::GatewayError;
use crate::service::generate::Piece;
use crate::service::several::{Failed, Generations};
use crate::service::timing::PromptTokens;

/// Events that a slow client may leave untaken before the engine is made to wait.
const EVENTS_MAX: usize = 32;

/// Answers with the events of this generation.
pub(super) fn send(generations: Generations, answer: Answer) -> Response {
    let (sender, response) = sse(EVENTS_MAX);
    tokio::spawn(async move {
        let closed = sender.clone();
        let events = Events {
            sender,
            answer,
            next: 0,
        };
        tokio::select! {
            // Dropping the generation closes its engine's connection, which ends its work.
            () = closed.closed() => {}
            _ = events.pump(generations) => {}
        }
    });
    response
}

struct Events {
    sender: SseSender,
    answer: Answer,
    next: u64,
}

impl Events {
    async fn pump(mut self, mut generations: Generations) -> Result<(), SseClosed> {
        self.open().await?;
        let mut text = String::new();
        loop {
            match generations.next().await {
                Ok((_, Piece::Text { text: piece, .. })) => {
                    text.push_str(&piece);
                    let more = json!({ "content_index": 0, "delta": piece, "logprobs": [] });
                    self.of_item("response.output_text.delta", more).await?;
                }
                // No tools are offered here.
                Ok((_, Piece::Call { .. })) => {}
                Ok((
                    _,
                    Piece::End {
                        finish_reason,
                        completion_tokens,
                        ..
                    },
                )) => {
                    let prompt = generations.prompts().first().copied().unwrap_or_default();
                    return self.close(&text, finish_reason, prompt, completion_tokens).await;
                }
                Err(Failed(_, error)) => return self.fail(&text, error).await,
            }
        }
    }

    async fn open(&mut self) -> Result<(), SseClosed> {
        for name in ["response.created", "response.in_progress"] {
            let response = self
                .answer
                .response(Status::InProgress, Vec::new(), Value::Null, None);
            self.event(name, json!({ "response": response })).await?;
        }
        let item = self.answer.message(Status::InProgress, None);
        let added = json!({ "output_index": 0, "item": item });
        self.event("response.output_item.added", added).await?;
        let part = json!({ "content_index": 0, "part": part("") });
        self.of_item("response.content_part.added", part).await
    }

    async fn close(
        &mut self,
        text: &str,
        finish: FinishReason,
        prompt: PromptTokens,
        output_tokens: u32,
    ) -> Result<(), SseClosed> {
        let done = json!({ "content_index": 0, "text": text, "logprobs": [] });
        self.of_item("response.output_text.done", done).await?;
        let part = json!({ "content_index": 0, "part": part(text) });
        self.of_item("response.content_part.done", part).await?;
        let status = Status::Ended(finish);
        let item = self.answer.message(status, Some(text));
        let done = json!({ "output_index": 0, "item": item });
        self.event("response.output_item.done", done).await?;
        let usage = usage(prompt, output_tokens);
        let response = self.answer.response(status, vec![item], usage, None);
        let name = format!("response.{}", status.as_str());
        self.event(&name, json!({ "response": response })).await?;
        self.sender.data("[DONE]").await
    }

    /// The status is long sent: the error is an event, and no [DONE] follows, so that nobody takes half an answer for a
    /// whole one.
    async fn fail(&mut self, text: &str, error: GatewayError) -> Result<(), SseClosed> {
        tracing::debug!(response = self.answer.id(), %error, "a response broke off");
        let item = self
            .answer
            .message(Status::Ended(FinishReason::Length), Some(text));
        let error = Some(("server_error", error.into_api().sentence()));
        let response = self
            .answer
            .response(Status::Failed, vec![item], Value::Null, error);
        self.event("response.failed", json!({ "response": response }))
            .await
    }

    /// An event about the response's one item.
    async fn of_item(&mut self, name: &str, mut data: Value) -> Result<(), SseClosed> {
        data["item_id"] = json!(self.answer.message_id());
        data["output_index"] = json!(0);
        self.event(name, data).await
    }

    async fn event(&mut self, name: &str, mut data: Value) -> Result<(), SseClosed> {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.next);
        self.next += 1;
        self.sender.event(name, &data).await
    }
}

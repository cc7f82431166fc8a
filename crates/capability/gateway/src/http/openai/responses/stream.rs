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
            done: Vec::new(),
            open: None,
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
    /// Items that are complete.
    done: Vec<Value>,
    /// The item that grows, which comes behind those.
    open: Option<Item>,
}

enum Item {
    Message {
        text: String,
    },
    Call {
        /// Its place among the calls.
        call: u32,
        name: String,
        arguments: String,
    },
}

/// How far an item is that is not the last.
const COMPLETE: Status = Status::Ended(FinishReason::Stop);

impl Events {
    async fn pump(mut self, mut generations: Generations) -> Result<(), SseClosed> {
        for name in ["response.created", "response.in_progress"] {
            let response = self
                .answer
                .response(Status::InProgress, Vec::new(), Value::Null, None);
            self.event(name, json!({ "response": response })).await?;
        }
        loop {
            match generations.next().await {
                Ok((_, Piece::Text { text, .. })) => self.text(text).await?,
                Ok((
                    _,
                    Piece::Call {
                        index,
                        name,
                        arguments,
                    },
                )) => self.call(index, name, arguments).await?,
                Ok((
                    _,
                    Piece::End {
                        finish_reason,
                        completion_tokens,
                        ..
                    },
                )) => {
                    let prompt = generations.prompts().first().copied().unwrap_or_default();
                    return self.end(finish_reason, prompt, completion_tokens).await;
                }
                Err(Failed(_, error)) => return self.fail(error).await,
            }
        }
    }

    async fn text(&mut self, piece: String) -> Result<(), SseClosed> {
        if piece.is_empty() {
            return Ok(());
        }
        if !matches!(self.open, Some(Item::Message { .. })) {
            self.close(COMPLETE).await?;
            self.add(Item::Message { text: String::new() }).await?;
        }
        let more = json!({ "content_index": 0, "delta": piece, "logprobs": [] });
        self.of_item("response.output_text.delta", more).await?;
        if let Some(Item::Message { text }) = &mut self.open {
            text.push_str(&piece);
        }
        Ok(())
    }

    async fn call(&mut self, call: u32, begins: Option<String>, piece: String) -> Result<(), SseClosed> {
        if let Some(name) = begins {
            self.close(COMPLETE).await?;
            let arguments = String::new();
            self.add(Item::Call {
                call,
                name,
                arguments,
            })
            .await?;
        }
        if piece.is_empty() {
            return Ok(());
        }
        let more = json!({ "delta": piece });
        self.of_item("response.function_call_arguments.delta", more)
            .await?;
        if let Some(Item::Call { arguments, .. }) = &mut self.open {
            arguments.push_str(&piece);
        }
        Ok(())
    }

    /// An item begins.
    async fn add(&mut self, item: Item) -> Result<(), SseClosed> {
        let is_message = matches!(item, Item::Message { .. });
        let item = self.open.insert(item);
        let told = match item {
            Item::Message { .. } => self.answer.message(Status::InProgress, None),
            Item::Call {
                call,
                name,
                arguments,
            } => self.answer.call(Status::InProgress, *call, name, arguments),
        };
        let added = json!({ "output_index": self.done.len(), "item": told });
        self.event("response.output_item.added", added).await?;
        if is_message {
            let part = json!({ "content_index": 0, "part": part("") });
            self.of_item("response.content_part.added", part).await?;
        }
        Ok(())
    }

    /// The item that grows, if one does, is as long as it gets.
    async fn close(&mut self, status: Status) -> Result<(), SseClosed> {
        let told = match &self.open {
            None => return Ok(()),
            Some(Item::Message { text }) => {
                let text = text.clone();
                let done = json!({ "content_index": 0, "text": text, "logprobs": [] });
                self.of_item("response.output_text.done", done).await?;
                let part = json!({ "content_index": 0, "part": part(&text) });
                self.of_item("response.content_part.done", part).await?;
                self.answer.message(status, Some(&text))
            }
            Some(Item::Call {
                call,
                name,
                arguments,
            }) => {
                let told = self.answer.call(status, *call, name, arguments);
                let done = json!({ "name": name, "arguments": arguments });
                self.of_item("response.function_call_arguments.done", done)
                    .await?;
                told
            }
        };
        let done = json!({ "output_index": self.done.len(), "item": told });
        self.event("response.output_item.done", done).await?;
        self.open = None;
        self.done.push(told);
        Ok(())
    }

    async fn end(
        mut self,
        finish: FinishReason,
        prompt: PromptTokens,
        output_tokens: u32,
    ) -> Result<(), SseClosed> {
        if self.open.is_none() && self.done.is_empty() {
            self.add(Item::Message { text: String::new() }).await?;
        }
        let status = Status::Ended(finish);
        self.close(status).await?;
        let usage = usage(prompt, output_tokens);
        let output = std::mem::take(&mut self.done);
        let response = self.answer.response(status, output, usage, None);
        let name = format!("response.{}", status.as_str());
        self.event(&name, json!({ "response": response })).await?;
        self.sender.data("[DONE]").await
    }

    /// The status is long sent: the error is an event, and no [DONE] follows, so that nobody takes half an answer for a
    /// whole one.
    async fn fail(mut self, error: GatewayError) -> Result<(), SseClosed> {
        tracing::debug!(response = self.answer.id(), %error, "a response broke off");
        const CUT: Status = Status::Ended(FinishReason::Length);
        let mut output = std::mem::take(&mut self.done);
        output.extend(self.open.take().map(|item| match item {
            Item::Message { text } => self.answer.message(CUT, Some(&text)),
            Item::Call {
                call,
                name,
                arguments,
            } => self.answer.call(CUT, call, &name, &arguments),
        }));
        let error = Some(("server_error", error.into_api().sentence()));
        let response = self.answer.response(Status::Failed, output, Value::Null, error);
        self.event("response.failed", json!({ "response": response }))
            .await
    }

    /// An event about the item that grows.
    async fn of_item(&mut self, name: &str, mut data: Value) -> Result<(), SseClosed> {
        data["item_id"] = json!(match &self.open {
            Some(Item::Call { call, .. }) => self.answer.item_id(*call),
            _ => self.answer.message_id(),
        });
        data["output_index"] = json!(self.done.len());
        self.event(name, data).await
    }

    async fn event(&mut self, name: &str, mut data: Value) -> Result<(), SseClosed> {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.next);
        self.next += 1;
        self.sender.event(name, &data).await
    }
}

//! A response as it is written, whole and while it grows.

use corliss_clock::Sources;
use corliss_engine::protocol::FinishReason;
use serde_json::{Map, Value, json};

use super::Asked;
use crate::service::generate::Whole;
use crate::service::timing::PromptTokens;

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    /// It ended, for this reason.
    Ended(FinishReason),
    Failed,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Ended(FinishReason::Length) => "incomplete",
            Self::Ended(_) => "completed",
            Self::Failed => "failed",
        }
    }
}

/// One response being written. It holds one message.
pub(super) struct Answer {
    id: String,
    message_id: String,
    /// All members but those that change while it grows.
    frame: Map<String, Value>,
    sources: Sources,
}

impl Answer {
    /// To what was asked.
    pub(super) fn new(asked: &Asked, sources: &Sources) -> Self {
        let seed = sources.id_seed();
        let random: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (id, message_id) = (format!("resp_{random}"), format!("msg_{random}"));
        let request = &asked.request;
        let frame = json!({
            "id": id,
            "object": "response",
            "created_at": seed.at.as_millis() / 1000,
            "model": asked.model,
            "instructions": asked.instructions,
            "max_output_tokens": request.max_tokens,
            "temperature": request.temperature.unwrap_or(1.0),
            "top_p": request.top_p.unwrap_or(1.0),
            "frequency_penalty": request.frequency_penalty.unwrap_or(0.0),
            "presence_penalty": request.presence_penalty.unwrap_or(0.0),
            "top_logprobs": 0,
            "metadata": asked.metadata,
            "safety_identifier": asked.echoed.get("safety_identifier"),
            "prompt_cache_key": asked.echoed.get("prompt_cache_key"),
            "user": asked.echoed.get("user"),
            "previous_response_id": null,
            "store": false,
            "background": false,
            "service_tier": "default",
            "truncation": "disabled",
            "text": { "format": { "type": "text" } },
            "reasoning": null,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": true,
            "max_tool_calls": null,
        });
        let frame = match frame {
            Value::Object(frame) => frame,
            _ => Map::new(),
        };
        Self {
            id,
            message_id,
            frame,
            sources: sources.clone(),
        }
    }

    /// The whole response.
    pub(super) fn whole(&self, done: &Whole) -> Value {
        let status = Status::Ended(done.finish_reason);
        let message = self.message(status, Some(&done.text));
        let usage = usage(done.prompt, done.completion_tokens);
        self.response(status, vec![message], usage, None)
    }

    /// The response at this point. Its error is a code and a sentence.
    pub(super) fn response(
        &self,
        status: Status,
        output: Vec<Value>,
        usage: Value,
        error: Option<(&str, String)>,
    ) -> Value {
        let mut response = self.frame.clone();
        let now_s = self.sources.clock.now().as_millis() / 1000;
        let ended = matches!(status, Status::Ended(_)).then_some(now_s);
        let cut = status == Status::Ended(FinishReason::Length);
        let more = [
            ("status", json!(status.as_str())),
            ("completed_at", json!(ended)),
            (
                "incomplete_details",
                json!(cut.then(|| json!({ "reason": "max_output_tokens" }))),
            ),
            (
                "error",
                json!(error.map(|(code, message)| json!({ "code": code, "message": message }))),
            ),
            ("output", Value::Array(output)),
            ("usage", usage),
        ];
        response.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(response)
    }

    /// The message, with its text or, before there is any, without.
    pub(super) fn message(&self, status: Status, text: Option<&str>) -> Value {
        json!({
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "status": status.as_str(),
            "content": text.map(part).into_iter().collect::<Vec<_>>(),
        })
    }

    pub(super) fn message_id(&self) -> &str {
        &self.message_id
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// The message's one part.
pub(super) fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

pub(super) fn usage(prompt: PromptTokens, output_tokens: u32) -> Value {
    json!({
        "input_tokens": prompt.all,
        "input_tokens_details": { "cached_tokens": prompt.cached },
        "output_tokens": output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": u64::from(prompt.all) + u64::from(output_tokens),
    })
}

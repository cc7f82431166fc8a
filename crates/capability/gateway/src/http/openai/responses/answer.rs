//! A response as it is written, whole and while it grows.

use corliss_clock::Sources;
use corliss_engine::protocol::{FinishReason, Tool, ToolChoice};
use serde_json::{Map, Value, json};

use super::super::tools;
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

/// One response being written. It holds a message, or calls of functions, or these behind that.
pub(super) struct Answer {
    id: String,
    /// What its id and those of its items share.
    random: String,
    /// All members but those that change while it grows.
    frame: Map<String, Value>,
    sources: Sources,
}

impl Answer {
    /// To what was asked.
    pub(super) fn new(asked: &Asked, sources: &Sources) -> Self {
        let seed = sources.id_seed();
        let random: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("resp_{random}");
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
            "text": { "format": asked.text.given },
            "reasoning": null,
            "tools": request.tools.iter().map(offered).collect::<Vec<_>>(),
            "tool_choice": chosen(&request.tool_choice),
            "parallel_tool_calls": request.parallel_tool_calls,
            "max_tool_calls": null,
        });
        let frame = match frame {
            Value::Object(frame) => frame,
            _ => Map::new(),
        };
        Self {
            id,
            random,
            frame,
            sources: sources.clone(),
        }
    }

    /// The whole response.
    pub(super) fn whole(&self, done: &Whole) -> Value {
        let status = Status::Ended(done.finish_reason);
        let mut output = Vec::with_capacity(1 + done.calls.len());
        if !done.text.is_empty() || done.calls.is_empty() {
            output.push(self.message(Status::Ended(FinishReason::Stop), Some(&done.text)));
        }
        for (call, (name, arguments)) in (0_u32..).zip(&done.calls) {
            output.push(self.call(Status::Ended(FinishReason::Stop), call, name, arguments));
        }
        // Only what was written last can be cut.
        if let Some(last) = output.last_mut() {
            last["status"] = json!(status.as_str());
        }
        let usage = usage(done.prompt, done.completion_tokens);
        self.response(status, output, usage, None)
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
            "id": self.message_id(),
            "type": "message",
            "role": "assistant",
            "status": status.as_str(),
            "content": text.map(part).into_iter().collect::<Vec<_>>(),
        })
    }

    /// A call of a function, by its place among those of the response.
    pub(super) fn call(&self, status: Status, call: u32, name: &str, arguments: &str) -> Value {
        json!({
            "id": self.item_id(call),
            "type": "function_call",
            "call_id": tools::call_id(&self.random, 0, call),
            "name": name,
            "arguments": arguments,
            "status": status.as_str(),
        })
    }

    pub(super) fn message_id(&self) -> String {
        format!("msg_{}", self.random)
    }

    /// The id of a call as an item; what the function gives is sent under its `call_id`.
    pub(super) fn item_id(&self, call: u32) -> String {
        format!("fc_{}{call:02x}", self.random)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// A function that may be called.
fn offered(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    })
}

fn chosen(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Named(name) => json!({ "type": "function", "name": name }),
        other => json!(other),
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

//! What every answer begins with, and the two shapes of its choices: chat and completion, whole and in pieces.

use corliss_clock::Sources;
use corliss_engine::protocol::{FinishReason, TokenLogprob};
use serde_json::{Value, json};

use super::logprobs;
use super::sampling::Asked;
use super::tools;
use crate::service::generate::Whole;
use crate::service::timing::PromptTokens;

/// Which of the two APIs is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Completion,
}

/// One answer being written.
pub(super) struct Answer {
    kind: Kind,
    id: String,
    created_s: i64,
    model: String,
    with_logprobs: bool,
    /// Characters of each choice written so far, for the offsets of the older shape.
    offsets: Vec<usize>,
    /// Choices that share a prompt, one after another.
    of_one_prompt: usize,
}

impl Answer {
    /// To what was asked.
    pub(super) fn new(kind: Kind, asked: &Asked, sources: &Sources) -> Self {
        let seed = sources.id_seed();
        let random: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let prefix = match kind {
            Kind::Chat => "chatcmpl",
            Kind::Completion => "cmpl",
        };
        Self {
            kind,
            id: format!("{prefix}-{random}"),
            created_s: seed.at.as_millis() / 1000,
            model: asked.model.clone(),
            with_logprobs: asked
                .requests
                .first()
                .is_some_and(|request| request.logprobs.is_some()),
            offsets: vec![0; asked.requests.len()],
            of_one_prompt: asked.of_one_prompt,
        }
    }

    /// The whole answer.
    pub(super) fn whole(mut self, done: &[Whole]) -> Value {
        let mut choices = Vec::with_capacity(done.len());
        for (index, done) in done.iter().enumerate() {
            let logprobs = self.logprobs(index, &done.logprobs);
            let finish = done.finish_reason;
            choices.push(match self.kind {
                Kind::Chat => json!({
                    "index": index,
                    "message": self.message(index, done),
                    "logprobs": logprobs,
                    "finish_reason": finish,
                }),
                Kind::Completion => json!({
                    "index": index, "text": done.text, "logprobs": logprobs, "finish_reason": finish
                }),
            });
        }
        let object = match self.kind {
            Kind::Chat => "chat.completion",
            Kind::Completion => "text_completion",
        };
        let prompts: Vec<PromptTokens> = done.iter().map(|done| done.prompt).collect();
        let completion_tokens = done.iter().map(|done| u64::from(done.completion_tokens)).sum();
        let mut whole = self.envelope(object, choices);
        whole["usage"] = self.usage(&prompts, completion_tokens);
        whole
    }

    fn message(&self, index: usize, done: &Whole) -> Value {
        let mut message = json!({ "role": "assistant", "content": done.text, "refusal": null });
        if !done.calls.is_empty() {
            let calls = (0_u32..).zip(&done.calls);
            let calls = calls.map(|(call, (name, arguments))| {
                tools::told(Some(&self.call_id(index, call)), Some(name), arguments)
            });
            message["tool_calls"] = calls.collect();
            if done.text.is_empty() {
                message["content"] = Value::Null;
            }
        }
        message
    }

    fn call_id(&self, index: usize, call: u32) -> String {
        tools::call_id(self.id.rsplit('-').next().unwrap_or_default(), index, call)
    }

    /// A piece with more of a call of a tool.
    pub(super) fn call(&self, index: usize, call: u32, name: Option<&str>, arguments: &str) -> Value {
        let id = name.map(|_| self.call_id(index, call));
        let mut told = tools::told(id.as_deref(), name, arguments);
        told["index"] = json!(call);
        self.chunk(vec![json!({
            "index": index, "delta": { "tool_calls": [told] }, "logprobs": null, "finish_reason": null
        })])
    }

    /// The piece that opens a choice of a chat; completions have none.
    pub(super) fn opening(&self, index: usize) -> Option<Value> {
        let delta = json!({ "role": "assistant", "content": "" });
        (self.kind == Kind::Chat).then(|| {
            self.chunk(vec![
                json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": null }),
            ])
        })
    }

    /// A piece with more text.
    pub(super) fn piece(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> Value {
        let logprobs = self.logprobs(index, tokens);
        let choice = match self.kind {
            Kind::Chat => json!({
                "index": index, "delta": { "content": text }, "logprobs": logprobs, "finish_reason": null
            }),
            Kind::Completion => {
                json!({ "index": index, "text": text, "logprobs": logprobs, "finish_reason": null })
            }
        };
        self.chunk(vec![choice])
    }

    /// The piece that says why a choice ended.
    pub(super) fn closing(&self, index: usize, finish: FinishReason) -> Value {
        let choice = match self.kind {
            Kind::Chat => json!({ "index": index, "delta": {}, "logprobs": null, "finish_reason": finish }),
            Kind::Completion => {
                json!({ "index": index, "text": "", "logprobs": null, "finish_reason": finish })
            }
        };
        self.chunk(vec![choice])
    }

    /// The piece that counts tokens, of each choice's prompt and of all answers; it has no choices.
    pub(super) fn counting(&self, prompts: &[PromptTokens], completion_tokens: u64) -> Value {
        let mut chunk = self.chunk(Vec::new());
        chunk["usage"] = self.usage(prompts, completion_tokens);
        chunk
    }

    fn chunk(&self, choices: Vec<Value>) -> Value {
        let object = match self.kind {
            Kind::Chat => "chat.completion.chunk",
            Kind::Completion => "text_completion",
        };
        self.envelope(object, choices)
    }

    fn envelope(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id, "object": object, "created": self.created_s, "model": self.model, "choices": choices
        })
    }

    fn logprobs(&mut self, index: usize, tokens: &[TokenLogprob]) -> Value {
        match (self.with_logprobs, self.kind, self.offsets.get_mut(index)) {
            (true, Kind::Chat, _) => logprobs::of_chat(tokens),
            (true, Kind::Completion, Some(offset)) => logprobs::of_completion(tokens, offset),
            _ => Value::Null,
        }
    }

    /// A prompt that is answered several times counts once.
    pub(super) fn usage(&self, prompts: &[PromptTokens], completion_tokens: u64) -> Value {
        let counted = prompts.iter().step_by(self.of_one_prompt.max(1));
        let prompt_tokens: u64 = counted.clone().map(|prompt| u64::from(prompt.all)).sum();
        let cached_tokens: u64 = counted.map(|prompt| u64::from(prompt.cached)).sum();
        json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": { "cached_tokens": cached_tokens },
        })
    }
}

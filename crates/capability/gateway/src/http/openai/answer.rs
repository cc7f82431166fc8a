//! What every answer begins with, and the two shapes of its choices: chat and completion, whole and in pieces.

use corliss_clock::Sources;
use corliss_engine::protocol::{FinishReason, TokenLogprob};
use serde_json::{Value, json};

use super::logprobs;
use crate::service::generate::{PromptTokens, Whole};

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
    /// Characters written so far, for the offsets of the older shape.
    offset: usize,
}

impl Answer {
    pub(super) fn new(kind: Kind, model: &str, with_logprobs: bool, sources: &Sources) -> Self {
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
            model: model.to_owned(),
            with_logprobs,
            offset: 0,
        }
    }

    /// The whole answer.
    pub(super) fn whole(mut self, done: &Whole) -> Value {
        let logprobs = self.logprobs(&done.logprobs);
        let finish = done.finish_reason;
        let choice = match self.kind {
            Kind::Chat => json!({
                "index": 0,
                "message": { "role": "assistant", "content": done.text, "refusal": null },
                "logprobs": logprobs,
                "finish_reason": finish,
            }),
            Kind::Completion => {
                json!({ "index": 0, "text": done.text, "logprobs": logprobs, "finish_reason": finish })
            }
        };
        let object = match self.kind {
            Kind::Chat => "chat.completion",
            Kind::Completion => "text_completion",
        };
        let mut whole = self.envelope(object, vec![choice]);
        whole["usage"] = usage(done.prompt, done.completion_tokens);
        whole
    }

    /// The piece that opens a chat; completions have none.
    pub(super) fn opening(&self) -> Option<Value> {
        let delta = json!({ "role": "assistant", "content": "" });
        (self.kind == Kind::Chat).then(|| {
            self.chunk(vec![
                json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }),
            ])
        })
    }

    /// A piece with more text.
    pub(super) fn piece(&mut self, text: &str, tokens: &[TokenLogprob]) -> Value {
        let logprobs = self.logprobs(tokens);
        let choice = match self.kind {
            Kind::Chat => json!({
                "index": 0, "delta": { "content": text }, "logprobs": logprobs, "finish_reason": null
            }),
            Kind::Completion => {
                json!({ "index": 0, "text": text, "logprobs": logprobs, "finish_reason": null })
            }
        };
        self.chunk(vec![choice])
    }

    /// The piece that says why it ended.
    pub(super) fn closing(&self, finish: FinishReason) -> Value {
        let choice = match self.kind {
            Kind::Chat => json!({ "index": 0, "delta": {}, "logprobs": null, "finish_reason": finish }),
            Kind::Completion => json!({ "index": 0, "text": "", "logprobs": null, "finish_reason": finish }),
        };
        self.chunk(vec![choice])
    }

    /// The piece that counts tokens; it has no choices.
    pub(super) fn counting(&self, prompt: PromptTokens, completion_tokens: u32) -> Value {
        let mut chunk = self.chunk(Vec::new());
        chunk["usage"] = usage(prompt, completion_tokens);
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

    fn logprobs(&mut self, tokens: &[TokenLogprob]) -> Value {
        match (self.with_logprobs, self.kind) {
            (false, _) => Value::Null,
            (true, Kind::Chat) => logprobs::of_chat(tokens),
            (true, Kind::Completion) => logprobs::of_completion(tokens, &mut self.offset),
        }
    }
}

fn usage(prompt: PromptTokens, completion_tokens: u32) -> Value {
    json!({
        "prompt_tokens": prompt.all,
        "completion_tokens": completion_tokens,
        "total_tokens": u64::from(prompt.all) + u64::from(completion_tokens),
        "prompt_tokens_details": { "cached_tokens": prompt.cached },
    })
}

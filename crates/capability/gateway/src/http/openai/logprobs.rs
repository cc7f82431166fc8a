//! Log-probabilities, in the shape of chats and in the older one of completions.

use corliss_engine::protocol::TokenLogprob;
use serde_json::{Value, json};

/// `{"content": [{"token", "logprob", "bytes", "top_logprobs"}]}`.
pub(super) fn of_chat(tokens: &[TokenLogprob]) -> Value {
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let mut entry = entry(token);
            entry["top_logprobs"] = token.top.iter().map(self::entry).collect();
            entry
        })
        .collect();
    json!({ "content": content, "refusal": null })
}

fn entry(token: &TokenLogprob) -> Value {
    json!({ "token": token.text, "logprob": token.logprob, "bytes": token.bytes })
}

/// `{"tokens", "token_logprobs", "top_logprobs", "text_offset"}`; offsets count characters of the answer.
pub(super) fn of_completion(tokens: &[TokenLogprob], offset: &mut usize) -> Value {
    let mut offsets = Vec::with_capacity(tokens.len());
    for token in tokens {
        offsets.push(*offset);
        *offset += token.text.chars().count();
    }
    let top: Vec<Value> = tokens
        .iter()
        .map(|token| {
            token
                .top
                .iter()
                .map(|top| (top.text.clone(), json!(top.logprob)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect();
    json!({
        "tokens": tokens.iter().map(|token| &token.text).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.logprob).collect::<Vec<_>>(),
        "top_logprobs": top,
        "text_offset": offsets,
    })
}

//! Log-probabilities, in the shape of chats and in the older one of completions.

use corliss_engine::protocol::TokenLogprob;
use serde_json::{Map, Value, json};

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

/// `{"tokens", "token_logprobs", "top_logprobs", "text_offset"}`; offsets count characters of the answer, from
/// `offset` on. A token's own probability is always among its likeliest; the first token of a prompt has none.
pub(super) fn of_completion(tokens: &[TokenLogprob], offset: &mut usize) -> Value {
    let mut offsets = Vec::with_capacity(tokens.len());
    for token in tokens {
        offsets.push(*offset);
        *offset += token.bytes.iter().filter(|byte| begins_character(**byte)).count();
    }
    json!({
        "tokens": tokens.iter().map(name).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.logprob).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

/// In UTF-8 the bytes 0x80 to 0xbf continue a character; several tokens may share one.
fn begins_character(byte: u8) -> bool {
    !(0x80..0xc0).contains(&byte)
}

/// The likeliest tokens by name. Where two have one name, it is the likelier's.
fn top(token: &TokenLogprob) -> Value {
    if token.logprob.is_none() {
        return Value::Null;
    }
    let mut named = Map::new();
    for entry in token.top.iter().chain([token]) {
        named.entry(name(entry)).or_insert_with(|| json!(entry.logprob));
    }
    named.into()
}

/// A token's text, or its bytes if they are no text alone.
fn name(token: &TokenLogprob) -> String {
    match str::from_utf8(&token.bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => token
            .bytes
            .iter()
            .fold("bytes:".to_owned(), |name, byte| name + &format!("\\x{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8], logprob: Option<f32>, top: Vec<TokenLogprob>) -> TokenLogprob {
        TokenLogprob {
            id: 0,
            text: String::from_utf8_lossy(bytes).into_owned(),
            bytes: bytes.to_vec(),
            logprob,
            top,
        }
    }

    #[test]
    fn the_older_shape_begins_with_null_and_has_each_token_among_its_likeliest() {
        let alone = |bytes, logprob| token(bytes, Some(logprob), vec![]);
        let crab = "🦀".as_bytes();
        let tokens = [
            token("né".as_bytes(), None, vec![]),
            token(b" a", Some(-2.5), vec![alone(b" b", -0.5)]),
            token(&crab[..3], Some(-0.5), vec![alone(&crab[..3], -0.5)]),
            token(&crab[3..], Some(-0.25), vec![]),
            token(b"z", Some(-3.0), vec![alone(b"", -0.5), alone(b"", -1.5)]),
        ];
        let mut offset = 10;
        let shown = of_completion(&tokens, &mut offset);
        assert_eq!(
            shown,
            json!({
                "tokens": ["né", " a", "bytes:\\xf0\\x9f\\xa6", "bytes:\\x80", "z"],
                "token_logprobs": [null, -2.5, -0.5, -0.25, -3.0],
                "top_logprobs": [
                    null,
                    {" b": -0.5, " a": -2.5},
                    {"bytes:\\xf0\\x9f\\xa6": -0.5},
                    {"bytes:\\x80": -0.25},
                    {"": -0.5, "z": -3.0},
                ],
                "text_offset": [10, 12, 14, 15, 15],
            })
        );
        assert_eq!(offset, 16, "né a🦀z has six characters");
    }
}

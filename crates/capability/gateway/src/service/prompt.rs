//! How large a prompt is and where it begins like others, before anything has tokenised it: guesses that
//! routing can live with, since the engine tells the true count with its first piece.

use corliss_engine::protocol::{ChatMessage, GenerateRequest, Tool};
use corliss_policy_serving::router::{mix, stable_hash};

/// Bytes of text to a token, about what vocabularies of language models reach on English.
const TOKEN_BYTES: usize = 4;
/// Bytes of text that make a block, 64 tokens by the measure above.
const BLOCK_BYTES: usize = 256;
/// Tokens that make one, where tokens are given.
const BLOCK_TOKENS: usize = BLOCK_BYTES / TOKEN_BYTES;
/// Of a longer prompt the beginning is looked at only; it is what prompts share.
const BLOCKS_MAX: usize = 4_096;

/// What a model's template may put around a chat, in tokens: its own instructions and the marks of each message.
pub(crate) const TEMPLATE_TOKENS: u64 = 256;
const MESSAGE_TOKENS: u64 = 16;

/// About how many tokens the prompt has.
pub(crate) fn tokens(request: &GenerateRequest) -> u64 {
    match &request.prompt_tokens {
        Some(tokens) => tokens.len() as u64,
        None => tokens_in(text_bytes(request)),
    }
}

/// More tokens than this no prompt has: a token is a byte at least.
pub(crate) fn tokens_max(request: &GenerateRequest) -> u64 {
    let messages = request.messages.as_ref().map_or(0, Vec::len) as u64;
    match &request.prompt_tokens {
        Some(tokens) => tokens.len() as u64 + MESSAGE_TOKENS,
        None => text_bytes(request) + TEMPLATE_TOKENS + MESSAGE_TOKENS * messages,
    }
}

/// About how many tokens so many bytes of text have.
pub(crate) const fn tokens_in(bytes: u64) -> u64 {
    bytes.div_ceil(TOKEN_BYTES as u64)
}

fn calls_bytes(message: &ChatMessage) -> usize {
    let calls = message.tool_calls.iter();
    calls
        .map(|call| call.id.len() + call.name.len() + call.arguments.len())
        .sum()
}

/// A template writes a tool down as JSON, with as much again around its parts at most.
fn tool_bytes(tool: &Tool) -> usize {
    2 * serde_json::to_string(tool).map_or(0, |text| text.len())
}

/// About how many bytes of text so many tokens have.
pub(crate) const fn bytes_of(tokens: u64) -> u64 {
    tokens.saturating_mul(TOKEN_BYTES as u64)
}

fn text_bytes(request: &GenerateRequest) -> u64 {
    let text = match (&request.prompt, &request.messages) {
        (Some(text), _) => text.len(),
        (_, Some(messages)) => messages
            .iter()
            .map(|message| message.role.len() + message.content.len() + calls_bytes(message))
            .sum(),
        _ => 0,
    };
    (text + request.tools.iter().map(tool_bytes).sum::<usize>()) as u64
}

/// About how many tokens a block of [`blocks`] stands for.
pub(crate) const fn block_tokens() -> u64 {
    BLOCK_TOKENS as u64
}

/// The prompt's whole blocks, first one first; each number stands for its block and all before it.
pub(crate) fn blocks(request: &GenerateRequest) -> Vec<u64> {
    let mut chain = Chain::default();
    if let Some(tokens) = &request.prompt_tokens {
        for block in tokens.chunks_exact(BLOCK_TOKENS) {
            let bytes: Vec<u8> = block.iter().flat_map(|token| token.to_le_bytes()).collect();
            chain.block(&bytes);
        }
    } else if let Some(text) = &request.prompt {
        chain.text(text.as_bytes());
    } else {
        for tool in &request.tools {
            chain.text(&serde_json::to_vec(tool).unwrap_or_default());
        }
        for message in request.messages.iter().flatten() {
            chain.text(message.role.as_bytes());
            // What no text holds: "ab" by one and "c" by another is not "a" and "bc".
            chain.text(&[0xff]);
            chain.text(message.content.as_bytes());
            for call in &message.tool_calls {
                chain.text(&[0xff]);
                chain.text(call.arguments.as_bytes());
            }
            chain.text(&[0xff]);
        }
    }
    chain.blocks
}

/// The whole blocks of a prompt that is not understood here, by its bytes.
pub(crate) fn blocks_of(text: &[u8]) -> Vec<u64> {
    let mut chain = Chain::default();
    chain.text(text);
    chain.blocks
}

/// Blocks as they are made from what is appended.
#[derive(Default)]
struct Chain {
    blocks: Vec<u64>,
    open: Vec<u8>,
}

impl Chain {
    fn text(&mut self, mut bytes: &[u8]) {
        while self.blocks.len() < BLOCKS_MAX && !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.open.len()));
            self.open.extend_from_slice(taken);
            bytes = rest;
            if self.open.len() == BLOCK_BYTES {
                let block = std::mem::take(&mut self.open);
                self.block(&block);
            }
        }
    }

    fn block(&mut self, bytes: &[u8]) {
        if self.blocks.len() < BLOCKS_MAX {
            let before = self.blocks.last().copied().unwrap_or_default();
            self.blocks.push(mix(before ^ stable_hash(bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(turns: &[(&str, String)]) -> GenerateRequest {
        let message = |(role, content): &(&str, String)| ChatMessage {
            role: (*role).to_owned(),
            content: content.clone(),
            ..ChatMessage::default()
        };
        GenerateRequest {
            messages: Some(turns.iter().map(message).collect()),
            ..GenerateRequest::default()
        }
    }

    #[test]
    fn the_next_turn_of_a_chat_begins_with_the_blocks_of_the_last() {
        let first = [("system", "be kind ".repeat(100)), ("user", "hello ".repeat(50))];
        let mut second = first.to_vec();
        second.push(("assistant", "good day".to_owned()));
        second.push(("user", "and now?".repeat(100)));
        let (first, second) = (blocks(&chat(&first)), blocks(&chat(&second)));
        assert_eq!(first.len(), 4);
        assert!(second.len() > first.len());
        assert_eq!(second[..first.len()], first);
    }

    #[test]
    fn who_said_what_is_part_of_it() {
        let said = |first: &str, second: &str| {
            blocks(&chat(&[
                ("user", first.repeat(300)),
                ("user", second.repeat(300)),
            ]))
        };
        assert_ne!(said("ab", "c"), said("a", "bc"));
        let tokens = |last: i32| GenerateRequest {
            prompt_tokens: Some((0..63).chain([last, 7]).collect()),
            ..GenerateRequest::default()
        };
        assert_eq!(blocks(&tokens(1)).len(), 1);
        assert_ne!(blocks(&tokens(1)), blocks(&tokens(2)));
        assert_eq!(
            (
                super::tokens(&tokens(1)),
                super::tokens(&chat(&[("user", "12345678".to_owned())]))
            ),
            (65, 3)
        );
    }
}

//! Log-probabilities of tokens, as they are told to callers.

use super::loaded::Loaded;
use super::sampler::log_probabilities;
use crate::protocol::TokenLogprob;

/// What is told of a token that is all but impossible, as OpenAI does: JSON has no infinity.
const LEAST: f32 = -9999.0;

/// A token of an answer, and the likeliest `count` at its place.
pub(super) fn answered(logits: &[f32], token: usize, count: usize, loaded: &Loaded) -> TokenLogprob {
    let bytes = loaded.pieces.get(token).map_or(&[][..], |piece| piece);
    scored(logits, token, bytes, count, loaded)
}

/// A token whose bytes are these, and the likeliest `count` at its place.
pub(super) fn scored(
    logits: &[f32],
    token: usize,
    bytes: &[u8],
    count: usize,
    loaded: &Loaded,
) -> TokenLogprob {
    let (own, top) = log_probabilities(logits, token, count);
    let top = top
        .into_iter()
        .map(|(token, logprob)| entry(token, &loaded.shown(token), Some(logprob)))
        .collect();
    TokenLogprob {
        top,
        ..entry(token, bytes, Some(own))
    }
}

/// A token of which nothing is known.
pub(super) fn unscored(token: usize, bytes: &[u8]) -> TokenLogprob {
    entry(token, bytes, None)
}

fn entry(token: usize, bytes: &[u8], logprob: Option<f32>) -> TokenLogprob {
    TokenLogprob {
        id: i32::try_from(token).unwrap_or(-1),
        text: String::from_utf8_lossy(bytes).into_owned(),
        bytes: bytes.to_vec(),
        logprob: logprob.map(|value| value.max(LEAST)),
        top: Vec::new(),
    }
}

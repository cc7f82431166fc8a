//! One generation request: checked, laid out and tokenised before it queues, so that everything that can
//! be refused is refused with a status and not in the middle of a stream.

use std::sync::OnceLock;

use corliss_clock::{Entropy, SystemEntropy};
use llama_cpp_2::token::LlamaToken;
use tokio::sync::mpsc::UnboundedSender;

use super::loaded::Loaded;
use super::sampler::Sampling;
use crate::EngineError;
use crate::protocol::{ChatMessage, GenerateEvent, GenerateRequest};

const DEFAULT_MAX_TOKENS: u32 = 512;
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 256;
const MAX_LOGPROBS: u32 = 20;
const MAX_MESSAGES: usize = 4096;

/// A request that is ready to run.
#[derive(Debug)]
pub(super) struct Job {
    pub prompt: Vec<LlamaToken>,
    pub max_tokens: u32,
    pub sampling: Sampling,
    pub seed: u64,
    /// Whether the caller chose the seed.
    pub is_seeded: bool,
    pub stops: Vec<String>,
    pub logprobs: Option<usize>,
    pub events: UnboundedSender<GenerateEvent>,
}

impl Job {
    /// KV cells that it needs at most.
    pub fn reservation(&self) -> usize {
        self.prompt.len() + self.max_tokens as usize
    }

    /// Tokens of the prompt, from its beginning, that need not be computed for this request where they are in a cache.
    /// After the last one scores are wanted. Whoever gives a seed wants the same again: what is computed in other pieces
    /// differs in its last bits.
    pub fn reusable(&self) -> usize {
        if self.is_seeded {
            return 0;
        }
        self.prompt.len().saturating_sub(1)
    }
}

/// Checks a request against the model.
pub(super) fn prepare(
    request: &GenerateRequest,
    loaded: &Loaded,
    events: UnboundedSender<GenerateEvent>,
) -> Result<Job, EngineError> {
    let sampling = sampling(request)?;
    check_stops(&request.stop)?;
    if request.logprobs.is_some_and(|count| count > MAX_LOGPROBS) {
        return Err(EngineError::invalid(
            "logprobs",
            format!("logprobs must be at most {MAX_LOGPROBS}"),
        ));
    }
    let prompt = prompt(request, loaded)?;
    let max_tokens = fit(prompt.len(), request.max_tokens, loaded.limits.context_tokens)?;
    Ok(Job {
        prompt,
        max_tokens,
        sampling,
        seed: request.seed.unwrap_or_else(random_seed),
        is_seeded: request.seed.is_some(),
        stops: request.stop.clone(),
        logprobs: request.logprobs.map(|count| count as usize),
        events,
    })
}

/// The tokens to generate at most, if prompt and answer fit into the context.
fn fit(prompt_tokens: usize, wanted: Option<u32>, context_tokens: u32) -> Result<u32, EngineError> {
    let exceeded = || EngineError::ContextLengthExceeded {
        prompt_tokens,
        counted: true,
        max_tokens: wanted,
        context_tokens,
    };
    let room = context_tokens
        .checked_sub(u32::try_from(prompt_tokens).unwrap_or(u32::MAX))
        .ok_or_else(exceeded)?;
    match wanted {
        Some(wanted) if wanted > room => Err(exceeded()),
        Some(wanted) => Ok(wanted),
        None if room == 0 => Err(exceeded()),
        None => Ok(room.min(DEFAULT_MAX_TOKENS)),
    }
}

fn prompt(request: &GenerateRequest, loaded: &Loaded) -> Result<Vec<LlamaToken>, EngineError> {
    let tokens = match (&request.messages, &request.prompt, &request.prompt_tokens) {
        (Some(messages), None, None) => chat(messages, loaded)?,
        (None, Some(text), None) => text_tokens(text, loaded, true)?,
        (None, None, Some(tokens)) => given_tokens(tokens, loaded)?,
        _ => {
            let detail = "exactly one of messages, prompt and prompt_tokens must be given";
            return Err(EngineError::invalid("prompt", detail));
        }
    };
    if tokens.is_empty() {
        return Err(EngineError::invalid("prompt", "the prompt is empty"));
    }
    Ok(tokens)
}

fn chat(messages: &[ChatMessage], loaded: &Loaded) -> Result<Vec<LlamaToken>, EngineError> {
    let Some(template) = &loaded.template else {
        return Err(EngineError::invalid_hint(
            "messages",
            "this model carries no chat template",
            "send a text as prompt instead",
        ));
    };
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        let detail = format!("between 1 and {MAX_MESSAGES} messages must be given");
        return Err(EngineError::invalid("messages", detail));
    }
    let mut tokens = Vec::new();
    for (at, piece) in template.render(messages)?.iter().enumerate() {
        let special = at == 0 && !template.begins_with_bos(piece);
        tokens.extend(text_tokens(piece, loaded, special)?);
    }
    Ok(tokens)
}

/// Tokenising takes time in proportion to the text, so a text that cannot fit is refused before: no token
/// of any vocabulary stands for more bytes than its longest piece.
fn text_tokens(text: &str, loaded: &Loaded, special: bool) -> Result<Vec<LlamaToken>, EngineError> {
    let longest = loaded
        .pieces
        .iter()
        .map(|piece| piece.len())
        .max()
        .unwrap_or(1)
        .max(1);
    let at_least = text.len() / longest;
    if at_least > loaded.limits.context_tokens as usize {
        return Err(EngineError::ContextLengthExceeded {
            prompt_tokens: at_least,
            counted: false,
            max_tokens: None,
            context_tokens: loaded.limits.context_tokens,
        });
    }
    Ok(loaded.tokenise(text, special))
}

fn given_tokens(tokens: &[i32], loaded: &Loaded) -> Result<Vec<LlamaToken>, EngineError> {
    let size = loaded.pieces.len();
    match tokens
        .iter()
        .position(|token| usize::try_from(*token).map_or(true, |token| token >= size))
    {
        None => Ok(tokens.iter().copied().map(LlamaToken::new).collect()),
        Some(at) => Err(EngineError::invalid(
            format!("prompt_tokens[{at}]"),
            format!(
                "{} is not a token of this model, whose ids go from 0 to {}",
                tokens[at],
                size - 1
            ),
        )),
    }
}

fn sampling(request: &GenerateRequest) -> Result<Sampling, EngineError> {
    let temperature = request.temperature.unwrap_or(1.0);
    if !(0.0..=100.0).contains(&temperature) {
        return Err(EngineError::invalid(
            "temperature",
            format!("temperature must be 0 or more, not {temperature}"),
        ));
    }
    let top_p = request.top_p.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&top_p) {
        return Err(EngineError::invalid(
            "top_p",
            format!("top_p must be between 0 and 1, not {top_p}"),
        ));
    }
    Ok(Sampling {
        temperature,
        top_p,
        top_k: request.top_k.unwrap_or(0) as usize,
    })
}

fn check_stops(stops: &[String]) -> Result<(), EngineError> {
    if stops.len() > MAX_STOPS || stops.iter().any(|stop| stop.len() > MAX_STOP_BYTES) {
        let detail = format!("stop takes at most {MAX_STOPS} texts of at most {MAX_STOP_BYTES} bytes");
        return Err(EngineError::invalid("stop", detail));
    }
    Ok(())
}

fn random_seed() -> u64 {
    static SOURCE: OnceLock<SystemEntropy> = OnceLock::new();
    let mut bytes = [0; 8];
    SOURCE.get_or_init(SystemEntropy::new).fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use corliss_diagnostics::Diagnose;

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        assert_eq!(fit(10, Some(90), 100).unwrap(), 90);
        assert_eq!(fit(10, None, 100).unwrap(), 90);
        assert_eq!(fit(10, None, 10_000).unwrap(), DEFAULT_MAX_TOKENS);
        assert_eq!(fit(100, Some(0), 100).unwrap(), 0);
        for (prompt, wanted) in [(10, Some(91)), (101, None), (100, None), (101, Some(0))] {
            let error = fit(prompt, wanted, 100).unwrap_err();
            assert_eq!(error.code(), "context_length_exceeded");
            assert!(error.to_string().contains("100") && error.to_string().contains(&prompt.to_string()));
        }
    }

    #[test]
    fn sampling_out_of_range_is_refused_by_field() {
        let request = |temperature, top_p| GenerateRequest {
            temperature,
            top_p,
            ..GenerateRequest::default()
        };
        assert_eq!(
            sampling(&request(Some(-0.1), None)).unwrap_err().field().unwrap(),
            "temperature"
        );
        assert_eq!(
            sampling(&request(Some(f32::NAN), None))
                .unwrap_err()
                .field()
                .unwrap(),
            "temperature"
        );
        assert_eq!(
            sampling(&request(None, Some(1.1))).unwrap_err().field().unwrap(),
            "top_p"
        );
        assert_eq!(sampling(&request(None, None)).unwrap().temperature, 1.0);
    }
}

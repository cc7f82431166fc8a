//! One generation request: checked, laid out and tokenised before it queues, so that everything that can
//! be refused is refused with a status and not in the middle of a stream.

use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use corliss_clock::{Entropy, SystemEntropy};
use llama_cpp_2::token::LlamaToken;
use tokio::sync::mpsc::UnboundedSender;

use super::adjuster::Adjustment;
use super::constraint::Constraint;
use super::echo::Echo;
use super::loaded::Loaded;
use super::sampler::Sampling;
use super::sequence::Progress;
use super::spent::Spent;
use super::tools::Form;
use crate::EngineError;
use crate::protocol::{ChatMessage, GenerateEvent, GenerateRequest, Tool, ToolChoice};

/// Tokens of an answer that have room before more is asked for.
pub(super) const PROMISED_TOKENS: usize = 128;
const DEFAULT_MAX_TOKENS: u32 = 512;
/// A month.
const MAX_DEADLINE_MS: u64 = 30 * 24 * 3_600_000;
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 256;
const MAX_LOGPROBS: u32 = 20;
const MAX_MESSAGES: usize = 4096;
const MAX_BIASES: usize = 300;
/// A bias that forbids its token.
const FORBIDDEN: f32 = -100.0;
const MAX_REPETITION_PENALTY: f32 = 10.0;

/// When an answer is of no use any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub at: Instant,
    pub after_ms: u64,
}

/// A request that is ready to run, for the first time or behind what it had when it lost its place.
#[derive(Debug)]
pub(super) struct Job {
    /// With what was answered before it lost its place.
    pub prompt: Vec<LlamaToken>,
    /// What it had, if it had a place before.
    pub progress: Option<Box<Progress>>,
    /// Less is sooner.
    pub priority: i32,
    /// Which it was in order of arrival.
    pub arrival: u64,
    pub spent: Spent,
    pub deadline: Option<Deadline>,
    pub max_tokens: u32,
    pub sampling: Sampling,
    pub seed: u64,
    /// Whether the caller chose the seed.
    pub is_seeded: bool,
    pub stops: Vec<String>,
    pub logprobs: Option<usize>,
    pub echo: Option<Echo>,
    /// What the answer must be.
    pub constraint: Option<Constraint>,
    /// How calls of tools are written, if any are offered.
    pub calls: Option<Form>,
    pub events: UnboundedSender<GenerateEvent>,
}

impl Job {
    /// KV cells that it needs at most.
    pub fn reservation(&self) -> usize {
        let generated = self.progress.as_ref().map_or(0, |progress| progress.generated);
        self.prompt.len() + self.max_tokens.saturating_sub(generated) as usize
    }

    /// KV cells that it is promised when it is given a place in a pool. Few answers become as long as they may, so most
    /// of that room is promised as it is needed. What has lost its place before, or cannot go back to the queue, is
    /// promised all.
    pub fn promise(&self) -> usize {
        if self.progress.is_some() || !self.can_go_back() {
            return self.reservation();
        }
        self.reservation().min(self.prompt.len() + PROMISED_TOKENS)
    }

    /// Whether it can lose its place. What was echoed cannot be taken back.
    pub fn can_go_back(&self) -> bool {
        self.echo.is_none()
    }

    /// Those with less go first.
    pub fn turn(&self) -> (i32, u64) {
        (self.priority, self.arrival)
    }

    /// Whether every token of the prompt must be computed and scored, because its caller is told the scores.
    pub fn scores_prompt(&self) -> bool {
        self.echo.is_some() && self.logprobs.is_some()
    }

    /// Tokens of the prompt, from its beginning, that need not be computed for this request where they are in a cache.
    /// After the last one scores are wanted. Whoever gives a seed wants the same again: what is computed in other pieces
    /// differs in its last bits. And what is not computed has no scores.
    pub fn reusable(&self) -> usize {
        if self.is_seeded || self.scores_prompt() {
            return 0;
        }
        self.prompt.len().saturating_sub(1)
    }
}

/// Checks a request against the model. `constraint` is what its `format` was compiled to, with the tools that it
/// offers, whose calls are written like `calls`.
pub(super) fn prepare(
    request: &GenerateRequest,
    loaded: &Loaded,
    constraint: Option<Constraint>,
    calls: Option<Form>,
    now: Instant,
    events: UnboundedSender<GenerateEvent>,
) -> Result<Job, EngineError> {
    let sampling = sampling(request, loaded.pieces.len())?;
    check_stops(&request.stop)?;
    if request.logprobs.is_some_and(|count| count > MAX_LOGPROBS) {
        return Err(EngineError::invalid(
            "logprobs",
            format!("logprobs must be at most {MAX_LOGPROBS}"),
        ));
    }
    if request.echo && request.messages.is_some() {
        return Err(EngineError::invalid("echo", "a chat cannot be echoed"));
    }
    if request.format.is_some() && request.stop.iter().any(|stop| !stop.is_empty()) {
        return Err(EngineError::invalid_hint(
            "stop",
            "a stop text would cut an answer that has a format",
            "leave out stop: the answer ends where it is complete",
        ));
    }
    let prompt = prompt(request, loaded)?;
    let max_tokens = fit(prompt.len(), request.max_tokens, loaded.limits.context_tokens)?;
    let echo = request
        .echo
        .then(|| Echo::new(&prompt, request.prompt.as_deref(), loaded));
    let deadline = request.deadline_ms.map(|after_ms| Deadline {
        // What is further off than time reaches is no bound.
        at: now + Duration::from_millis(after_ms.min(MAX_DEADLINE_MS)),
        after_ms,
    });
    Ok(Job {
        spent: Spent::new(),
        prompt,
        progress: None,
        priority: request.priority,
        arrival: 0,
        deadline,
        max_tokens,
        sampling,
        seed: request.seed.unwrap_or_else(random_seed),
        is_seeded: request.seed.is_some(),
        stops: request.stop.clone(),
        logprobs: request.logprobs.map(|count| count as usize),
        echo,
        constraint,
        calls,
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

/// The tokens that are read.
pub(super) fn prompt(request: &GenerateRequest, loaded: &Loaded) -> Result<Vec<LlamaToken>, EngineError> {
    let tokens = match (&request.messages, &request.prompt, &request.prompt_tokens) {
        (Some(messages), None, None) => chat(request, messages, loaded)?,
        (None, Some(text), None) => text_tokens(text, loaded, true)?,
        (None, None, Some(tokens)) => given_tokens(tokens, "prompt_tokens", loaded)?,
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

fn chat(
    request: &GenerateRequest,
    messages: &[ChatMessage],
    loaded: &Loaded,
) -> Result<Vec<LlamaToken>, EngineError> {
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
    let tools: &[Tool] = match request.tool_choice {
        ToolChoice::None => &[],
        _ => &request.tools,
    };
    let mut tokens = Vec::new();
    for (at, piece) in template.render(messages, tools)?.iter().enumerate() {
        let special = at == 0 && !template.begins_with_bos(piece);
        tokens.extend(text_tokens(piece, loaded, special)?);
    }
    Ok(tokens)
}

/// Tokenising takes time in proportion to the text, so a text that cannot fit is refused before: no token
/// of any vocabulary stands for more bytes than its longest piece.
pub(super) fn text_tokens(
    text: &str,
    loaded: &Loaded,
    special: bool,
) -> Result<Vec<LlamaToken>, EngineError> {
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

/// Tokens that the caller chose, in this field.
pub(super) fn given_tokens(
    tokens: &[i32],
    field: &str,
    loaded: &Loaded,
) -> Result<Vec<LlamaToken>, EngineError> {
    let size = loaded.pieces.len();
    match tokens
        .iter()
        .position(|token| usize::try_from(*token).map_or(true, |token| token >= size))
    {
        None => Ok(tokens.iter().copied().map(LlamaToken::new).collect()),
        Some(at) => Err(EngineError::invalid(
            format!("{field}[{at}]"),
            format!(
                "{} is not a token of this model, whose ids go from 0 to {}",
                tokens[at],
                size - 1
            ),
        )),
    }
}

fn sampling(request: &GenerateRequest, vocabulary: usize) -> Result<Sampling, EngineError> {
    Ok(Sampling {
        temperature: within("temperature", request.temperature, 0.0..=100.0, 1.0)?,
        top_p: within("top_p", request.top_p, 0.0..=1.0, 1.0)?,
        top_k: request.top_k.unwrap_or(0) as usize,
        min_p: within("min_p", request.min_p, 0.0..=1.0, 0.0)?,
        adjustment: adjustment(request, vocabulary)?,
    })
}

fn adjustment(request: &GenerateRequest, vocabulary: usize) -> Result<Option<Adjustment>, EngineError> {
    let repetition = request.repetition_penalty;
    if repetition.is_some_and(|penalty| penalty <= 0.0) {
        let detail = "repetition_penalty must be more than 0; 1 changes nothing";
        return Err(EngineError::invalid("repetition_penalty", detail));
    }
    let adjustment = Adjustment {
        bias: biases(&request.logit_bias, vocabulary)?,
        repetition: within(
            "repetition_penalty",
            repetition,
            0.0..=MAX_REPETITION_PENALTY,
            1.0,
        )?,
        frequency: within("frequency_penalty", request.frequency_penalty, -2.0..=2.0, 0.0)?,
        presence: within("presence_penalty", request.presence_penalty, -2.0..=2.0, 0.0)?,
    };
    Ok((!adjustment.is_neutral()).then_some(adjustment))
}

fn within(
    field: &str,
    value: Option<f32>,
    range: RangeInclusive<f32>,
    otherwise: f32,
) -> Result<f32, EngineError> {
    let value = value.unwrap_or(otherwise);
    // Not a number lies in no range.
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = range.into_inner();
    Err(EngineError::invalid(
        field,
        format!("{field} must be between {least} and {most}, not {value}"),
    ))
}

fn biases(given: &[(i32, f32)], vocabulary: usize) -> Result<Vec<(u32, f32)>, EngineError> {
    let wrong = |detail: String| Err(EngineError::invalid("logit_bias", detail));
    if given.len() > MAX_BIASES {
        return wrong(format!(
            "logit_bias takes at most {MAX_BIASES} tokens, not {}",
            given.len()
        ));
    }
    let mut biases = Vec::with_capacity(given.len());
    for (id, bias) in given {
        let token = u32::try_from(*id)
            .ok()
            .filter(|token| (*token as usize) < vocabulary);
        let Some(token) = token else {
            return wrong(format!(
                "logit_bias names {id}, which is not a token of this model: its ids go from 0 to {}",
                vocabulary.saturating_sub(1)
            ));
        };
        if !(FORBIDDEN..=-FORBIDDEN).contains(bias) {
            return wrong(format!(
                "logit_bias of token {id} must be between -100 and 100, not {bias}"
            ));
        }
        let bias = if *bias == FORBIDDEN {
            f32::NEG_INFINITY
        } else {
            *bias
        };
        biases.push((token, bias));
    }
    let mut forbidden: Vec<u32> = biases
        .iter()
        .filter(|(_, bias)| bias.is_infinite())
        .map(|(token, _)| *token)
        .collect();
    forbidden.sort_unstable();
    forbidden.dedup();
    if !forbidden.is_empty() && forbidden.len() == vocabulary {
        return wrong("logit_bias forbids every token of this model".to_owned());
    }
    Ok(biases)
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
impl Job {
    /// One that asks for nothing special.
    pub fn plain(prompt: Vec<LlamaToken>, max_tokens: u32, events: UnboundedSender<GenerateEvent>) -> Self {
        Self {
            spent: Spent::new(),
            prompt,
            progress: None,
            priority: 0,
            arrival: 0,
            deadline: None,
            max_tokens,
            sampling: Sampling {
                temperature: 0.0,
                top_p: 1.0,
                top_k: 0,
                min_p: 0.0,
                adjustment: None,
            },
            seed: 0,
            is_seeded: false,
            stops: Vec::new(),
            logprobs: None,
            echo: None,
            constraint: None,
            calls: None,
            events,
        }
    }
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
        type Change = fn(&mut GenerateRequest, f32);
        let fields: [(&str, Change, &[f32]); 6] = [
            (
                "temperature",
                |request, value| request.temperature = Some(value),
                &[-0.1, 101.0],
            ),
            (
                "top_p",
                |request, value| request.top_p = Some(value),
                &[-0.1, 1.1],
            ),
            (
                "min_p",
                |request, value| request.min_p = Some(value),
                &[-0.1, 1.1],
            ),
            (
                "frequency_penalty",
                |request, value| request.frequency_penalty = Some(value),
                &[-2.1, 2.1],
            ),
            (
                "presence_penalty",
                |request, value| request.presence_penalty = Some(value),
                &[-2.1, 2.1],
            ),
            (
                "repetition_penalty",
                |request, value| request.repetition_penalty = Some(value),
                &[-1.0, 0.0, 10.1],
            ),
        ];
        for (field, change, wrong) in fields {
            for value in wrong.iter().chain(&[f32::NAN, f32::INFINITY]) {
                let mut request = GenerateRequest::default();
                change(&mut request, *value);
                let error = sampling(&request, 10).unwrap_err();
                assert_eq!(error.field().as_deref(), Some(field), "{value}");
                assert!(error.to_string().contains(field), "{error}");
            }
            let mut request = GenerateRequest::default();
            change(&mut request, 0.5);
            sampling(&request, 10).unwrap();
        }
        let default = sampling(&GenerateRequest::default(), 10).unwrap();
        assert_eq!((default.temperature, default.adjustment), (1.0, None));
    }

    #[test]
    fn biases_name_tokens_of_the_model_and_exactly_minus_100_forbids() {
        let read = |given: &[(i32, f32)]| biases(given, 300);
        assert_eq!(
            read(&[(0, -100.0), (299, 100.0), (5, -99.9)]).unwrap(),
            [(0, f32::NEG_INFINITY), (299, 100.0), (5, -99.9)]
        );
        for (given, says) in [
            (vec![(300, 1.0)], "0 to 299"),
            (vec![(-1, 1.0)], "-1"),
            (vec![(7, 100.5)], "token 7"),
            (vec![(7, f32::NAN)], "token 7"),
            (vec![(7, 1.0); 301], "300"),
            ((0..300).map(|token| (token, -100.0)).collect(), "every token"),
        ] {
            let error = read(&given).unwrap_err();
            assert_eq!(error.field().as_deref(), Some("logit_bias"));
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

//! One request for embeddings: checked and tokenised before it queues, as generations are, and how the
//! model's states of an input's tokens become one vector.

use llama_cpp_2::token::LlamaToken;
use tokio::sync::oneshot;

use super::loaded::Loaded;
use super::request;
use crate::EngineError;
use crate::protocol::{EmbedInput, EmbedRequest, Embeddings};

/// Inputs of one request.
const MAX_INPUTS: usize = 2048;

/// Which of an input's tokens speak for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// All, evenly.
    Mean,
    /// The first.
    First,
    /// The last.
    Last,
}

impl Pooling {
    /// As llama.cpp numbers them in a file's metadata; models that do not say are pooled evenly.
    fn of(loaded: &Loaded) -> Result<Self, EngineError> {
        match loaded.property("pooling_type").as_deref() {
            None | Some("0" | "1") => Ok(Self::Mean),
            Some("2") => Ok(Self::First),
            Some("3") => Ok(Self::Last),
            Some(_) => Err(EngineError::invalid(
                "model",
                "this model ranks texts; it has no embeddings",
            )),
        }
    }

    /// Whether the token at this place of an input of so many tokens counts.
    pub fn counts(self, at: usize, tokens: usize) -> bool {
        match self {
            Self::Mean => true,
            Self::First => at == 0,
            Self::Last => at + 1 == tokens,
        }
    }
}

/// A request that is ready to run.
#[derive(Debug)]
pub(super) struct EmbedJob {
    pub inputs: Vec<Vec<LlamaToken>>,
    pub pooling: Pooling,
    pub answer: oneshot::Sender<Result<Embeddings, EngineError>>,
}

impl EmbedJob {
    /// Tokens of all inputs.
    pub fn tokens(&self) -> u64 {
        self.inputs.iter().map(|input| input.len() as u64).sum()
    }

    /// Tokens of the longest input.
    pub fn longest(&self) -> usize {
        self.inputs.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// Checks a request against the model.
pub(super) fn prepare(
    request: &EmbedRequest,
    loaded: &Loaded,
    answer: oneshot::Sender<Result<Embeddings, EngineError>>,
) -> Result<EmbedJob, EngineError> {
    if loaded.property("attention.causal").as_deref() == Some("false") {
        let detail = "this model reads whole texts at once (an encoder), which is not supported";
        return Err(EngineError::invalid("model", detail));
    }
    let pooling = Pooling::of(loaded)?;
    let length = loaded.embedding_length();
    if let Some(wanted) = request.dimensions.filter(|wanted| *wanted != length) {
        return Err(EngineError::invalid_hint(
            "dimensions",
            format!("this model's embeddings have {length} dimensions and cannot be cut to {wanted}"),
            "leave it out",
        ));
    }
    if request.inputs.is_empty() || request.inputs.len() > MAX_INPUTS {
        let detail = format!(
            "between 1 and {MAX_INPUTS} inputs must be given, not {}",
            request.inputs.len()
        );
        return Err(EngineError::invalid("inputs", detail));
    }
    let inputs = request
        .inputs
        .iter()
        .enumerate()
        .map(|(at, input)| tokens(input, &format!("inputs[{at}]"), loaded))
        .collect::<Result<_, _>>()?;
    Ok(EmbedJob {
        inputs,
        pooling,
        answer,
    })
}

pub(super) fn tokens(
    input: &EmbedInput,
    field: &str,
    loaded: &Loaded,
) -> Result<Vec<LlamaToken>, EngineError> {
    let tokens = match input {
        EmbedInput::Text(text) => request::text_tokens(text, loaded, true)?,
        EmbedInput::Tokens(tokens) => request::given_tokens(tokens, field, loaded)?,
    };
    if tokens.is_empty() {
        return Err(EngineError::invalid(field, "an input is empty"));
    }
    let context_tokens = loaded.limits.context_tokens;
    if tokens.len() > context_tokens as usize {
        return Err(EngineError::invalid(
            field,
            format!(
                "an input has {} tokens, but the model's context holds {context_tokens}",
                tokens.len()
            ),
        ));
    }
    Ok(tokens)
}

/// A vector of length one in the same direction.
pub(super) fn normalised(vector: &[f64]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|value| (value * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_counts_the_tokens_that_speak_for_the_input() {
        let counted = |pooling: Pooling| (0..4).map(|at| pooling.counts(at, 4)).collect::<Vec<_>>();
        assert_eq!(counted(Pooling::Mean), [true; 4]);
        assert_eq!(counted(Pooling::First), [true, false, false, false]);
        assert_eq!(counted(Pooling::Last), [false, false, false, true]);
    }

    #[test]
    fn vectors_have_length_one_and_none_is_divided_by_nothing() {
        assert_eq!(normalised(&[3.0, -4.0]), [0.6, -0.8]);
        assert_eq!(normalised(&[0.0, 0.0]), [0.0, 0.0]);
    }
}

//! What one request uses, while it goes on.

use corliss_engine::protocol::{EmbedInput, GenerateRequest};
use corliss_policy_serving::Price;
use corliss_policy_serving::limits::Ask;

use super::{Place, Quotas};
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::prompt;
use crate::service::timing::PromptTokens;
use crate::store::Reservation;

/// The most tokens that an engine generates if nobody says how many.
const ANSWER_TOKENS: u32 = 512;

/// What requests may use at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bound {
    /// Tokens of prompts, about or counted; what a rate is held to.
    prompt_tokens: u64,
    /// They have no more tokens than this; what a budget is held to.
    prompt_tokens_max: u64,
    /// Tokens of answers.
    answer_tokens: u64,
}

/// What requests have used.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    prompt: u64,
    cached: u64,
    answer: u64,
}

/// Adds up what a request uses, and puts the rest of its reservation back when it is dropped.
pub(crate) struct Meter {
    quotas: Quotas,
    price: Price,
    used: Option<Used>,
    reservation: Option<Reservation>,
    _place: Option<Place>,
}

impl Bound {
    /// Of generations, of which so many after one another share a prompt.
    pub(crate) fn of(requests: &[GenerateRequest], of_one_prompt: usize) -> Self {
        let prompts = requests.iter().step_by(of_one_prompt.max(1));
        Self {
            prompt_tokens: prompts.clone().map(prompt::tokens).sum(),
            prompt_tokens_max: prompts.map(prompt::tokens_max).sum(),
            answer_tokens: requests
                .iter()
                .map(|request| u64::from(request.max_tokens.unwrap_or(ANSWER_TOKENS)))
                .sum(),
        }
    }

    /// Of a request of so many bytes whose prompt has about so many tokens.
    pub(crate) fn of_text(bytes: u64, prompt_tokens: u64, answer_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            prompt_tokens_max: bytes.saturating_add(prompt::TEMPLATE_TOKENS),
            answer_tokens,
        }
    }

    /// Of inputs that are read only.
    pub(crate) fn of_inputs(inputs: &[EmbedInput]) -> Self {
        let bytes = inputs.iter().map(|input| match input {
            EmbedInput::Text(text) => text.len() as u64,
            EmbedInput::Tokens(tokens) => prompt::bytes_of(tokens.len() as u64),
        });
        let bytes = bytes.sum();
        Self {
            prompt_tokens: prompt::tokens_in(bytes),
            prompt_tokens_max: bytes,
            answer_tokens: 0,
        }
    }

    /// The same, with prompts of so many tokens, counted.
    pub(crate) const fn counted(self, prompt_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            prompt_tokens_max: prompt_tokens,
            ..self
        }
    }

    /// The same, with prompts as large as they can be.
    pub(crate) const fn at_most(self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens_max,
            ..self
        }
    }
}

impl Gateway {
    /// Takes what a request may use out of what its caller may; what it costs at most is what the dearest of the
    /// endpoints would ask that it may come to.
    ///
    /// # Errors
    /// If its caller's limits do not allow it, or it cannot be written down.
    pub(crate) async fn meter(&self, call: &Call, bound: Bound) -> Result<Meter, GatewayError> {
        let prices = call
            .routing
            .fallback
            .iter()
            .filter_map(|name| self.endpoint(name).ok());
        let prices = prices
            .map(|endpoint| endpoint.routing().price)
            .chain([call.routing.price]);
        // What is cached may be the dearer part only by mistake; then it is what bounds the cost.
        let most = |price: Price| {
            let whole = price.micros(1, bound.prompt_tokens_max, 0, bound.answer_tokens);
            whole.max(price.micros(
                1,
                bound.prompt_tokens_max,
                bound.prompt_tokens_max,
                bound.answer_tokens,
            ))
        };
        let ask = Ask {
            tokens: bound.prompt_tokens.saturating_add(bound.answer_tokens),
            micros: prices.map(most).max().unwrap_or_default(),
        };
        let (place, reservation) = self
            .quotas
            .reserve(&call.origin.caller, call.origin.standing.clone(), ask)
            .await?;
        Ok(Meter {
            quotas: self.quotas.clone(),
            price: call.routing.price,
            used: None,
            reservation,
            _place: place,
        })
    }
}

impl Gateway {
    /// Whether the caller is held to tokens, or to money where answers cost some.
    pub(crate) fn is_metered(&self, call: &Call) -> bool {
        let limits = self.quotas.limits(&call.origin.caller);
        limits.is_some_and(|limits| {
            limits.tokens_per_minute.is_some()
                || (limits.budget.is_some() && call.routing.price.answer_micros > 0)
        })
    }
}

impl Meter {
    /// An endpoint with these prices answers.
    pub(crate) fn answered_at(&mut self, price: Price) {
        self.price = price;
        self.used.get_or_insert_default();
    }

    /// These prompts were read, of which so many after one another are one.
    pub(crate) fn prompts(&mut self, prompts: &[PromptTokens], of_one_prompt: usize) {
        let used = self.used.get_or_insert_default();
        let counted = prompts.iter().step_by(of_one_prompt.max(1));
        used.prompt = counted.clone().map(|prompt| u64::from(prompt.all)).sum();
        used.cached = counted.map(|prompt| u64::from(prompt.cached)).sum();
    }

    /// The answers have so many tokens up to now, all together.
    pub(crate) fn answers(&mut self, tokens: u64) {
        self.used.get_or_insert_default().answer = tokens;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let Some(reservation) = self.reservation.take() else {
            return;
        };
        let used = self.used.map_or(Ask::default(), |used| Ask {
            tokens: used.prompt.saturating_add(used.answer),
            micros: self.price.micros(1, used.prompt, used.cached, used.answer),
        });
        self.quotas.settle_soon(reservation, used);
    }
}

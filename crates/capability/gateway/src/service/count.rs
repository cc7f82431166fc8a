//! The true size of what a caller sends, asked of an engine before it is taken out of what the caller may use: only so is
//! a limit of tokens never passed by requests that race each other, and a budget not refused to what it suffices for.

use std::borrow::Cow;
use std::time::Duration;

use corliss_engine::protocol::{CountRequest, EmbedRequest, GenerateRequest};
use tokio::time::timeout;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::endpoint::Load;
use crate::service::quota::Bound;

/// Counting takes milliseconds; an engine that does not answer in this time hangs.
const PATIENCE: Duration = Duration::from_secs(5);

impl Gateway {
    /// What generations may use, of which so many after one another share a prompt.
    pub(crate) async fn bound_of_generations(
        &self,
        call: &Call,
        requests: &[GenerateRequest],
        of_one_prompt: usize,
    ) -> Bound {
        let prompts = requests.iter().step_by(of_one_prompt.max(1));
        let what = CountRequest {
            prompts: prompts.map(Cow::Borrowed).collect(),
            inputs: Vec::new(),
        };
        self.counted(call, &what, Bound::of(requests, of_one_prompt))
            .await
    }

    /// What embeddings may use.
    pub(crate) async fn bound_of_embeddings(&self, call: &Call, request: &EmbedRequest) -> Bound {
        let what = CountRequest {
            prompts: Vec::new(),
            inputs: request.inputs.iter().map(Cow::Borrowed).collect(),
        };
        self.counted(call, &what, Bound::of_inputs(&request.inputs)).await
    }

    /// The guess, with its tokens counted where the caller is held to them. What cannot be counted is taken for the most
    /// that it can be.
    async fn counted(&self, call: &Call, what: &CountRequest<'_>, guess: Bound) -> Bound {
        let limits = self.quotas.limits(&call.origin.caller);
        let prices_prompts = call.routing.price.prompt_micros > 0;
        let is_held = limits.is_some_and(|limits| {
            limits.tokens_per_minute.is_some() || (limits.budget.is_some() && prices_prompts)
        });
        if !is_held {
            return guess;
        }
        match self.count(call, what).await {
            Ok(tokens) => guess.counted(tokens),
            Err(error) => {
                tracing::debug!(%error, endpoint = call.endpoint.name(), "tokens are not counted");
                guess.at_most()
            }
        }
    }

    async fn count(&self, call: &Call, what: &CountRequest<'_>) -> Result<u64, GatewayError> {
        let load = Load {
            random: self.random(),
            ..Load::default()
        };
        let now = self.sources.clock.now();
        let lease = call.endpoint.lease(call, &load, now, &[])?;
        let counted = match lease.way.engine() {
            Some(engine) => match timeout(PATIENCE, engine.count(what)).await {
                Ok(counted) => counted.map_err(GatewayError::from),
                Err(_) => Err(GatewayError::deadline(call.endpoint.name().to_owned(), PATIENCE)),
            },
            None => Err(GatewayError::WrongWay),
        };
        counted
            .map(|count| count.tokens)
            .inspect_err(|error| lease.blamed(error, self.sources.clock.now()))
    }
}

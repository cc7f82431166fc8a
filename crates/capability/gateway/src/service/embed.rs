//! Embeddings, from whichever replica of a language model answers.

use corliss_engine::protocol::{EmbedInput, EmbedRequest, Embeddings};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::prompt;
use crate::service::quota::Bound;
use crate::service::timing::PromptTokens;
use crate::service::way::Way;

impl Gateway {
    /// Embeds the inputs. Dropping the future withdraws the request.
    ///
    /// # Errors
    /// If no replica answers in time, or the request is wrong.
    pub(crate) async fn embed(
        &self,
        call: &Call,
        request: &EmbedRequest,
    ) -> Result<Embeddings, GatewayError> {
        let question = |way: Way| async move { way.embed(request).await };
        let size = |embeddings: &Embeddings| PromptTokens {
            all: u32::try_from(embeddings.prompt_tokens).unwrap_or(u32::MAX),
            cached: 0,
        };
        let bytes = request.inputs.iter().map(|input| match input {
            EmbedInput::Text(text) => text.len() as u64,
            EmbedInput::Tokens(tokens) => prompt::bytes_of(tokens.len() as u64),
        });
        let bound = Bound::of_bytes(bytes.sum());
        self.ask(call, self.config.generate_timeout, bound, question, size)
            .await
    }
}

//! Embeddings, from whichever replica of a language model answers.

use corliss_engine::protocol::{EmbedRequest, Embeddings};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
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
        let bound = self.bound_of_embeddings(call, request).await;
        self.ask(call, self.config.generate_timeout, bound, question, size)
            .await
    }
}

//! Embeddings, from whichever replica of a language model answers.

use std::sync::Arc;

use corliss_engine::client::EngineClient;
use corliss_engine::protocol::{EmbedRequest, Embeddings};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;
use crate::service::generate::PromptTokens;

impl Gateway {
    /// Embeds the inputs. Dropping the future withdraws the request.
    ///
    /// # Errors
    /// If no replica answers in time, or the request is wrong.
    pub(crate) async fn embed(
        &self,
        endpoint: &Arc<Endpoint>,
        request: &EmbedRequest,
    ) -> Result<Embeddings, GatewayError> {
        let limit = self.config.generate_timeout;
        let question = |client: EngineClient| async move { client.embed(request).await };
        let embeddings = self.ask(endpoint, limit, question).await?;
        endpoint.counters.prompt_tokens(PromptTokens {
            all: u32::try_from(embeddings.prompt_tokens).unwrap_or(u32::MAX),
            cached: 0,
        });
        Ok(embeddings)
    }
}

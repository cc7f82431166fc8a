//! Embeddings, from whichever replica of a language model answers.

use std::sync::Arc;

use corliss_engine::protocol::{EmbedRequest, Embeddings};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;
use crate::service::generate::{PromptTokens, Watch};

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
        let _admission = endpoint.admit(self.config.concurrent_max)?;
        let mut watch = Watch::new(self.sources.clone(), endpoint.clone());
        let limit = self.config.generate_timeout;
        let attempts = async {
            let mut tried = Vec::new();
            loop {
                let lease = endpoint.lease(self.sources.clock.now(), &tried)?;
                match lease.client.embed(request).await {
                    Ok(embeddings) => {
                        lease.answered();
                        return Ok(embeddings);
                    }
                    Err(error) => watch.again(&lease, error.into(), &mut tried)?,
                }
            }
        };
        let result = match tokio::time::timeout(limit, attempts).await {
            Ok(result) => result,
            Err(_) => Err(GatewayError::DeadlineExceeded {
                name: endpoint.name().to_owned(),
                seconds: limit.as_secs(),
            }),
        };
        if let Ok(embeddings) = &result {
            endpoint.counters.prompt_tokens(PromptTokens {
                all: u32::try_from(embeddings.prompt_tokens).unwrap_or(u32::MAX),
                cached: 0,
            });
        }
        watch.ended(result.as_ref().err());
        result
    }
}

//! One question, one answer: asked of a replica, and of another where that may do better.

use std::sync::Arc;
use std::time::Duration;

use corliss_engine::EngineError;
use corliss_engine::client::EngineClient;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;
use crate::service::generate::Watch;

impl Gateway {
    /// Asks within the limit, which all attempts share.
    ///
    /// # Errors
    /// If no replica answers in time, or the request is wrong.
    pub(super) async fn ask<T, F>(
        &self,
        endpoint: &Arc<Endpoint>,
        limit: Duration,
        question: impl Fn(EngineClient) -> F,
    ) -> Result<T, GatewayError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let _admission = endpoint.admit(self.config.concurrent_max)?;
        let mut watch = Watch::new(self.sources.clone(), endpoint.clone());
        let attempts = async {
            let mut tried = Vec::new();
            loop {
                let lease = endpoint.lease(self.sources.clock.now(), &tried)?;
                match question(lease.client.clone()).await {
                    Ok(answer) => {
                        lease.answered();
                        return Ok(answer);
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
        watch.ended(result.as_ref().err());
        result
    }
}

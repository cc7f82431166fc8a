//! Tensor requests: passed through unread, because the engine checks names, types, and shapes against data.

use bytes::Bytes;
use corliss_engine::protocol::Metadata;
use corliss_types::Flavor;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::generate::Watch;

impl Gateway {
    /// Sends an Open Inference Protocol request to a replica of the endpoint and returns its answer.
    ///
    /// # Errors
    /// If there is no such endpoint or version, no replica answers, or the request is wrong.
    pub(crate) async fn infer(
        &self,
        name: &str,
        version: Option<&str>,
        body: Bytes,
    ) -> Result<Bytes, GatewayError> {
        let endpoint = self.endpoint(name)?;
        if let Some(version) = version {
            endpoint.check_version(version)?;
        }
        if endpoint.flavor() == Flavor::Gguf {
            return Err(GatewayError::WrongKind {
                name: name.to_owned(),
                serves: "a language model",
                use_path: "POST /v1/chat/completions",
            });
        }
        let _admission = endpoint.admit(self.config.concurrent_max)?;
        let mut watch = Watch::new(self.sources.clone(), endpoint.clone());
        let limit = self.config.infer_timeout;
        let attempts = async {
            let mut tried = Vec::new();
            loop {
                let lease = endpoint.lease(self.sources.clock.now(), &tried)?;
                match lease.client.infer(body.clone()).await {
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
                name: name.to_owned(),
                seconds: limit.as_secs(),
            }),
        };
        watch.ended(result.as_ref().err());
        result
    }

    /// What the endpoint's model takes and gives, as one of its replicas says.
    ///
    /// # Errors
    /// If there is no such endpoint or version, or no replica answers.
    pub(crate) async fn metadata(&self, name: &str, version: Option<&str>) -> Result<Metadata, GatewayError> {
        let endpoint = self.endpoint(name)?;
        if let Some(version) = version {
            endpoint.check_version(version)?;
        }
        let lease = endpoint.lease(self.sources.clock.now(), &[])?;
        let mut metadata = lease.client.metadata().await?;
        metadata.name = name.to_owned();
        metadata.versions = vec![endpoint.version().to_string()];
        Ok(metadata)
    }
}

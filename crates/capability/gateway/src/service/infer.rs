//! Tensor requests: passed through unread, because the engine checks names, types, and shapes against data.

use bytes::Bytes;
use corliss_engine::client::EngineClient;
use corliss_engine::protocol::Metadata;
use corliss_types::Flavor;

use crate::error::GatewayError;
use crate::service::Gateway;

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
        let limit = self.config.infer_timeout;
        let question = |client: EngineClient| {
            let body = body.clone();
            async move { client.infer(body).await }
        };
        self.ask(&endpoint, limit, question).await
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

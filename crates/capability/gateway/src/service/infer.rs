//! Tensor requests: passed through unread, because the engine checks names, types, and shapes against data.

use bytes::Bytes;
use corliss_engine::client::EngineClient;
use corliss_engine::protocol::Metadata;
use corliss_types::Flavor;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::{Call, Origin};
use crate::service::endpoint::Load;
use crate::service::quota::Bound;
use crate::service::timing::PromptTokens;

impl Gateway {
    /// Sends an Open Inference Protocol request to a replica of the endpoint and returns its answer.
    ///
    /// # Errors
    /// If there is no such endpoint or version, no replica answers, or the request is wrong.
    pub(crate) async fn infer(
        &self,
        name: &str,
        version: Option<&str>,
        origin: Origin,
        body: Bytes,
    ) -> Result<Bytes, GatewayError> {
        let call = self.tensor_call(name, version, origin)?;
        let question = |client: EngineClient| {
            let body = body.clone();
            async move { client.infer(body).await }
        };
        let size = |_: &Bytes| PromptTokens::default();
        self.ask(&call, self.config.infer_timeout, Bound::default(), question, size)
            .await
    }

    fn tensor_call(&self, name: &str, version: Option<&str>, origin: Origin) -> Result<Call, GatewayError> {
        let asked = version
            .map(|asked| self.endpoint(name)?.version_asked(asked))
            .transpose()?;
        let call = self.call(name, asked, origin, 0)?;
        if call.endpoint.flavor() == Flavor::Gguf {
            return Err(GatewayError::WrongKind {
                name: name.to_owned(),
                serves: "a language model",
                use_path: "POST /v1/chat/completions",
            });
        }
        Ok(call)
    }

    /// What the endpoint's model takes and gives, as one of its replicas says.
    ///
    /// # Errors
    /// If there is no such endpoint or version, or no replica answers.
    pub(crate) async fn metadata(&self, name: &str, version: Option<&str>) -> Result<Metadata, GatewayError> {
        let asked = version
            .map(|asked| self.endpoint(name)?.version_asked(asked))
            .transpose()?;
        let call = self.call(name, asked, Origin::default(), 0)?;
        let load = Load {
            random: self.random(),
            ..Load::default()
        };
        let lease = call.endpoint.lease(&call, &load, self.sources.clock.now(), &[])?;
        let mut metadata = lease.client.metadata().await?;
        metadata.name = name.to_owned();
        metadata.versions = vec![lease.version.to_string()];
        Ok(metadata)
    }
}

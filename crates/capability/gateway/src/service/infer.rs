//! Tensor requests: passed through unread, because the engine checks names, types, and shapes against data.

use std::sync::Arc;

use corliss_engine::protocol::{InferenceStats, Metadata, TensorMessage};
use corliss_types::Flavor;
use futures_util::future::join_all;

use crate::error::GatewayError;
use crate::ports::Serves;
use crate::service::Gateway;
use crate::service::call::{Call, Origin};
use crate::service::endpoint::{Endpoint, Load};
use crate::service::quota::Bound;
use crate::service::timing::PromptTokens;
use crate::service::way::Way;

/// What an endpoint's replicas did, together.
pub(crate) struct ModelStatistics {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) stats: InferenceStats,
}

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
        message: TensorMessage,
    ) -> Result<TensorMessage, GatewayError> {
        let call = self.tensor_call(name, version, origin)?;
        let question = |way: Way| {
            let (message, headers) = (message.clone(), call.origin.headers.clone());
            async move { way.infer(message, &headers).await }
        };
        let size = |_: &TensorMessage| PromptTokens::default();
        let answer = self
            .ask(&call, self.config.infer_timeout, Bound::default(), question, size)
            .await?;
        self.copy_inference(&call, &message, &answer);
        Ok(answer)
    }

    fn tensor_call(&self, name: &str, version: Option<&str>, origin: Origin) -> Result<Call, GatewayError> {
        self.tensor_endpoint(name, version)?;
        let asked = version
            .map(|asked| self.endpoint(name)?.version_asked(asked))
            .transpose()?;
        let call = self.call(name, asked, origin, 0)?;
        // A rule may send it elsewhere.
        call.endpoint.must_take_tensors()?;
        Ok(call)
    }

    /// The endpoint of this name if it takes tensors and serves this version.
    pub(crate) fn tensor_endpoint(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Arc<Endpoint>, GatewayError> {
        let endpoint = self.endpoint(name)?;
        if let Some(version) = version {
            endpoint.version_asked(version)?;
        }
        endpoint.must_take_tensors()?;
        Ok(endpoint)
    }

    /// What the endpoint's model takes and gives, as one of its replicas says.
    ///
    /// # Errors
    /// If there is no such endpoint or version, or no replica answers.
    pub(crate) async fn metadata(
        &self,
        name: &str,
        version: Option<&str>,
        origin: Origin,
    ) -> Result<Metadata, GatewayError> {
        let asked = version
            .map(|asked| self.endpoint(name)?.version_asked(asked))
            .transpose()?;
        let call = self.call(name, asked, origin, 0)?;
        let load = Load {
            random: self.random(),
            ..Load::default()
        };
        let lease = call.endpoint.lease(&call, &load, self.sources.clock.now(), &[])?;
        let mut metadata = lease.way.metadata(&call.origin.headers).await?;
        metadata.name = name.to_owned();
        metadata.versions = vec![lease.version.to_string()];
        Ok(metadata)
    }

    /// What the replicas of this endpoint did since they started, or those of every endpoint that takes tensors.
    ///
    /// # Errors
    /// If there is no such endpoint or version, or a replica that takes requests does not answer.
    pub(crate) async fn statistics(
        &self,
        name: Option<&str>,
        version: Option<&str>,
    ) -> Result<Vec<ModelStatistics>, GatewayError> {
        let endpoints = match name {
            Some(name) => vec![self.tensor_endpoint(name, version)?],
            None => self
                .endpoints()
                .into_iter()
                .filter(|endpoint| matches!(endpoint.serves(), Serves::Engine(Flavor::Onnx | Flavor::Pyfunc)))
                .collect(),
        };
        let mut all = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let engines = endpoint.engines();
            let mut sum = InferenceStats::default();
            for stats in join_all(engines.iter().map(|(_, engine)| engine.stats())).await {
                match (stats, name) {
                    (Ok(stats), _) => sum.merge(&stats.inference),
                    (Err(error), Some(_)) => return Err(error.into()),
                    // Of all endpoints, one whose replica is just ending must not hide the others.
                    (Err(_), None) => {}
                }
            }
            all.push(ModelStatistics {
                name: endpoint.name().to_owned(),
                version: endpoint.version().to_string(),
                stats: sum,
            });
        }
        Ok(all)
    }
}

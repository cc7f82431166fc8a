//! The way to a replica: an engine of ours, or a service elsewhere.

use std::path::Path;
use std::sync::Arc;

use corliss_engine::client::{EngineClient, GenerateStream};
use corliss_engine::protocol::{EmbedRequest, Embeddings, GenerateRequest, Metadata, TensorMessage};
use http::HeaderMap;

use crate::error::GatewayError;
use crate::ports::{RouteWay, ServiceAddress};
use crate::service::forward::remote::{Remote, passed_on};

/// Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) enum Way {
    Engine(EngineClient),
    Service(Remote),
}

impl Way {
    /// Connects at first use.
    pub(crate) fn to(route: &RouteWay) -> Self {
        match route {
            RouteWay::Socket(socket) => Self::Engine(EngineClient::unix(socket.clone())),
            RouteWay::Service(address) => Self::Service(Remote::new(address.clone())),
        }
    }

    /// Whether it leads there.
    pub(crate) fn leads_to(&self, route: &RouteWay) -> bool {
        match (self, route) {
            (Self::Engine(client), RouteWay::Socket(socket)) => client.socket() == Path::new(socket),
            (Self::Service(remote), RouteWay::Service(address)) => {
                Arc::<ServiceAddress>::as_ref(address) == remote.address()
            }
            _ => false,
        }
    }

    /// The engine, if it is one of ours.
    pub(crate) fn engine(&self) -> Option<&EngineClient> {
        match self {
            Self::Engine(client) => Some(client),
            Self::Service(_) => None,
        }
    }

    /// The service, if it is one.
    pub(crate) fn service(&self) -> Result<&Remote, GatewayError> {
        match self {
            Self::Service(remote) => Ok(remote),
            Self::Engine(_) => Err(GatewayError::WrongWay),
        }
    }

    pub(crate) async fn generate(&self, request: &GenerateRequest) -> Result<GenerateStream, GatewayError> {
        let engine = self.engine().ok_or(GatewayError::WrongWay)?;
        Ok(engine.generate(request).await?)
    }

    pub(crate) async fn embed(&self, request: &EmbedRequest) -> Result<Embeddings, GatewayError> {
        let engine = self.engine().ok_or(GatewayError::WrongWay)?;
        Ok(engine.embed(request).await?)
    }

    /// `headers` are those of the request, of which a service is told some.
    pub(crate) async fn infer(
        &self,
        message: TensorMessage,
        headers: &HeaderMap,
    ) -> Result<TensorMessage, GatewayError> {
        match self {
            Self::Engine(client) => Ok(client.infer(message).await?),
            Self::Service(remote) => remote.infer(message, passed_on(headers)?).await,
        }
    }

    /// As [`Way::infer`].
    pub(crate) async fn metadata(&self, headers: &HeaderMap) -> Result<Metadata, GatewayError> {
        match self {
            Self::Engine(client) => Ok(client.metadata().await?),
            Self::Service(remote) => remote.metadata(passed_on(headers)?).await,
        }
    }
}

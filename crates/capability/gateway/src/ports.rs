//! What the gateway is told by serving, through the server's wiring: a snapshot of who takes requests; and what it
//! asks of it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use corliss_http::ApiError;
use corliss_policy_serving::Routing;
use corliss_policy_serving::release::Split;
use corliss_types::{Flavor, ReleaseId, ReplicaId, ServiceDialect};
use corliss_upstream::BaseUrl;
use http::HeaderValue;

/// A snapshot of everything that may take requests. The newest one is read from a watch channel whose
/// sender is kept by the wiring; it is replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteTable {
    /// Rises with every change while the server runs; 0 before the first one is known.
    pub generation: u64,
    /// Endpoints, by name.
    pub endpoints: Vec<RouteEndpoint>,
}

/// One endpoint. It may have no replica that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEndpoint {
    /// Its name, which clients send as the model.
    pub name: String,
    /// Registered model.
    pub model: String,
    /// Version that takes requests, or the wanted one if none does.
    pub version: u32,
    /// What stands behind it.
    pub serves: Serves,
    /// Why it is not ready, in a sentence.
    pub reason: Option<String>,
    /// How its requests are routed.
    pub routing: Arc<Routing>,
    /// Replicas that take requests.
    pub replicas: Vec<RouteReplica>,
    /// The release that goes on.
    pub release: Option<Arc<RouteRelease>>,
}

/// What a version that is being released gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRelease {
    /// Id.
    pub id: ReleaseId,
    /// The version.
    pub version: u32,
    /// Its share of the requests that no rule and no client sends to a version.
    pub split: Split,
}

/// One replica that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteReplica {
    /// Id.
    pub id: ReplicaId,
    /// Version of the model that it serves.
    pub version: u32,
    /// Its share beside others of the same version.
    pub weight: u32,
    /// How it is reached.
    pub way: RouteWay,
}

/// What answers the requests of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// Engines of ours, which serve this kind of model.
    Engine(Flavor),
    /// Services elsewhere, which speak this.
    Service(ServiceDialect),
}

/// How a replica is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteWay {
    /// The socket where its engine listens.
    Socket(PathBuf),
    /// A service's address.
    Service(Arc<ServiceAddress>),
}

/// Where a service is, and how it wants to be asked.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceAddress {
    /// What the paths of its API come behind.
    pub url: BaseUrl,
    /// What it calls the model.
    pub model: String,
    /// The key that it demands, sent as a bearer token.
    pub key: Option<HeaderValue>,
}

impl std::fmt::Debug for ServiceAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAddress")
            .field("url", &self.url)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// Puts models to work and out of it, for clients that call this loading and unloading.
#[async_trait]
pub trait Repository: Send + Sync {
    /// Makes sure that an endpoint of this name serves, by the word of `by`: the one that there is as it is, else a new
    /// one for the newest version of the registered model of this name. Returns when it serves.
    async fn load(&self, name: &str, by: &str) -> Result<(), ApiError>;
    /// Lets the endpoint of this name go away.
    async fn unload(&self, name: &str) -> Result<(), ApiError>;
}

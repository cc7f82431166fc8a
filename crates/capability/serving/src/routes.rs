//! What may take requests, as a snapshot with a generation: what the gateway routes by.

use std::path::PathBuf;
use std::sync::Arc;

use corliss_policy_serving::Routing;
use corliss_policy_serving::release::Split;
use corliss_types::{Flavor, ModelName, ReleaseId, ReplicaId, ServiceDialect};

use crate::ports::OpenKey;
use crate::services::RouteTarget;

/// A snapshot of everything that may take requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteTable {
    /// Rises with every change while the server runs.
    pub generation: u64,
    /// Endpoints whose engines run here, by name.
    pub endpoints: Vec<RouteEndpoint>,
    /// Endpoints that services elsewhere answer, by name.
    pub services: Vec<RouteService>,
    /// Whether the endpoints were ever read.
    pub(crate) endpoints_known: bool,
    /// Whether the services were.
    pub(crate) services_known: bool,
}

impl RouteTable {
    /// Whether it holds all that there is: a server that has just started knows of nothing yet.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.endpoints_known && self.services_known
    }
}

/// One endpoint that a service elsewhere answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteService {
    /// Its name.
    pub name: String,
    /// What the service speaks.
    pub dialect: ServiceDialect,
    /// What it calls the model.
    pub model: String,
    /// The key that it demands.
    pub key: Option<OpenKey>,
    /// Why it takes no requests, if it takes none.
    pub reason: Option<String>,
    /// How its requests are routed.
    pub routing: Arc<Routing>,
    /// Where it is.
    pub targets: Vec<RouteTarget>,
}

/// One endpoint. It may have no replica that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEndpoint {
    /// Its name.
    pub name: String,
    /// Registered model.
    pub model: ModelName,
    /// Newest version that takes requests and is not being released, else the wanted one.
    pub version: u32,
    /// Kind of engine.
    pub flavor: Flavor,
    /// Why it is not ready, in a sentence.
    pub reason: Option<String>,
    /// How its requests are routed.
    pub routing: Arc<Routing>,
    /// Replicas that take requests.
    pub replicas: Vec<RouteReplica>,
    /// The release that goes on.
    pub release: Option<RouteRelease>,
}

/// What a version that is being released gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRelease {
    /// Id.
    pub id: ReleaseId,
    /// The version.
    pub version: u32,
    /// Its share.
    pub split: Split,
}

/// One replica that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteReplica {
    /// Id.
    pub id: ReplicaId,
    /// Version of the model that it serves.
    pub version: u32,
    /// Where its engine listens.
    pub socket: PathBuf,
}

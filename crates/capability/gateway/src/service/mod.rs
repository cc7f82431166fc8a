//! The service: find the endpoint, admit the request, pick a replica, and try again once where that is safe.

mod ask;
mod embed;
pub(crate) mod endpoint;
pub(crate) mod generate;
pub(crate) mod infer;
pub(crate) mod several;
pub mod stats;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use corliss_clock::Sources;
use corliss_types::Flavor;
use tokio::sync::watch;

use crate::config::GatewayConfig;
use crate::error::GatewayError;
use crate::ports::RouteTable;

use endpoint::Endpoint;
use stats::EndpointStats;

/// Gives inference requests to replicas; shared behind an [`Arc`].
pub struct Gateway {
    config: GatewayConfig,
    sources: Sources,
    tables: watch::Receiver<Arc<RouteTable>>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    generation: u64,
    endpoints: BTreeMap<String, Arc<Endpoint>>,
}

impl Gateway {
    /// A gateway that follows the newest table of the channel.
    #[must_use]
    pub fn new(
        config: GatewayConfig,
        sources: Sources,
        tables: watch::Receiver<Arc<RouteTable>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            sources,
            tables,
            known: RwLock::default(),
        })
    }

    /// What each endpoint has done since the server started or the endpoint was made.
    #[must_use]
    pub fn stats(&self) -> Vec<EndpointStats> {
        self.refresh();
        self.known()
            .endpoints
            .values()
            .map(|endpoint| endpoint.stats())
            .collect()
    }

    pub(crate) fn config(&self) -> &GatewayConfig {
        &self.config
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Whether the first table has arrived.
    pub(crate) fn is_ready(&self) -> bool {
        self.tables.borrow().generation > 0
    }

    /// Every endpoint, by name.
    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.refresh();
        self.known().endpoints.values().cloned().collect()
    }

    /// The endpoint of this name.
    pub(crate) fn endpoint(&self, name: &str) -> Result<Arc<Endpoint>, GatewayError> {
        self.refresh();
        let found = self.known().endpoints.get(name).cloned();
        found.ok_or_else(|| GatewayError::ModelNotFound {
            name: name.chars().take(100).collect(),
        })
    }

    /// The endpoint of this name if it serves a language model.
    pub(crate) fn language_endpoint(&self, name: &str) -> Result<Arc<Endpoint>, GatewayError> {
        let endpoint = self.endpoint(name)?;
        match endpoint.flavor() {
            Flavor::Gguf => Ok(endpoint),
            _ => Err(GatewayError::WrongKind {
                name: name.to_owned(),
                serves: "tensors",
                use_path: "POST /v2/models/{name}/infer",
            }),
        }
    }

    /// Takes over a newer table, if there is one. The usual case is one comparison under a shared lock.
    fn refresh(&self) {
        let table = self.tables.borrow().clone();
        if table.generation == self.known().generation {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if table.generation <= known.generation {
            return;
        }
        let mut endpoints = BTreeMap::new();
        for route in &table.endpoints {
            let endpoint = known
                .endpoints
                .remove(&route.name)
                .unwrap_or_else(|| Endpoint::new(&route.name, self.sources.clock.now()));
            endpoint.update(route);
            endpoints.insert(route.name.clone(), endpoint);
        }
        *known = Known {
            generation: table.generation,
            endpoints,
        };
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

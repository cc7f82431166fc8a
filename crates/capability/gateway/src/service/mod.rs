//! The service: find the endpoint, admit the request, pick a replica, and try again once where that is safe.

mod ask;
pub(crate) mod call;
mod count;
mod embed;
pub(crate) mod endpoint;
pub mod engines;
mod exposition;
pub(crate) mod forward;
pub(crate) mod generate;
mod hedge;
pub(crate) mod infer;
mod metrics;
pub(crate) mod prompt;
pub(crate) mod quota;
pub mod record;
pub(crate) mod several;
mod shadow;
pub(crate) mod spans;
pub mod stats;
pub(crate) mod timing;
pub mod versions;
pub(crate) mod way;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_types::ReplicaId;
use corliss_upstream::BaseUrl;
use tokio::sync::watch;

use crate::config::GatewayConfig;
use crate::error::GatewayError;
use crate::ports::RouteTable;

use call::Call;
use endpoint::{Admission, Endpoint};
use quota::Quotas;
use spans::Spans;
use stats::EndpointStats;
use versions::VersionTraffic;

/// Gives inference requests to replicas; shared behind an [`Arc`].
pub struct Gateway {
    config: GatewayConfig,
    sources: Sources,
    tables: watch::Receiver<Arc<RouteTable>>,
    quotas: Quotas,
    known: RwLock<Known>,
    /// Where spans go, if anywhere.
    spans: OnceLock<Spans>,
    /// Where chance stands.
    chance: AtomicU64,
}

#[derive(Default)]
struct Known {
    generation: u64,
    endpoints: BTreeMap<String, Arc<Endpoint>>,
}

impl Gateway {
    /// A gateway that follows the newest table of the channel, and holds callers to their limits.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn open(
        config: GatewayConfig,
        store: Metastore,
        sources: Sources,
        tables: watch::Receiver<Arc<RouteTable>>,
    ) -> Result<Arc<Self>, GatewayError> {
        let mut seed = [0_u8; 8];
        sources.entropy.fill(&mut seed);
        Ok(Arc::new(Self {
            chance: AtomicU64::new(u64::from_le_bytes(seed)),
            config,
            quotas: Quotas::open(store, sources.clone()).await?,
            sources,
            tables,
            known: RwLock::default(),
            spans: OnceLock::new(),
        }))
    }

    /// Sends OpenTelemetry spans of requests to language models to this collector, by OTLP over HTTP. Said again it
    /// changes nothing.
    ///
    /// # Errors
    /// If TLS is asked for and cannot be set up on this machine.
    pub fn export_spans(&self, collector: &BaseUrl) -> Result<(), GatewayError> {
        let spans = Spans::to(collector, self.sources.clone())?;
        self.spans.get_or_init(|| spans);
        Ok(())
    }

    pub(crate) fn spans(&self) -> Option<&Spans> {
        self.spans.get()
    }

    /// Waits until what ended requests have used is written down, and their spans are sent; call it when no request is
    /// on its way.
    pub async fn drain(&self) {
        self.quotas.drain().await;
        if let Some(spans) = self.spans() {
            spans.flush().await;
        }
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
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

    /// What a version of an endpoint did since it became known.
    #[must_use]
    pub fn version_traffic(&self, endpoint: &str, version: u32) -> VersionTraffic {
        let endpoint = self.endpoint(endpoint);
        endpoint
            .map(|endpoint| endpoint.versions.read(version))
            .unwrap_or_default()
    }

    /// Replicas of an endpoint whose last request failed by their own fault, and how.
    #[must_use]
    pub fn troubles(&self, endpoint: &str) -> Vec<(ReplicaId, String)> {
        let endpoint = self.endpoint(endpoint);
        endpoint.map(|endpoint| endpoint.troubles()).unwrap_or_default()
    }

    /// Requests of an endpoint that ended since it became known, copies aside.
    #[must_use]
    pub fn requests_total(&self, endpoint: &str) -> u64 {
        let endpoint = self.endpoint(endpoint);
        endpoint.map_or(0, |endpoint| endpoint.counters.requests())
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
        found.ok_or_else(|| {
            let name = name.chars().take(100).collect();
            if self.is_ready() {
                GatewayError::ModelNotFound { name }
            } else {
                GatewayError::NotReady {
                    name,
                    reason: "the server has just started and has not read its endpoints yet".to_owned(),
                }
            }
        })
    }

    /// Lets one more request in.
    fn admit(&self, call: &Call) -> Result<Admission, GatewayError> {
        let own = call.routing.concurrent_max;
        let limit = own.map_or(self.config.concurrent_max, |own| own as usize);
        call.endpoint.admit(limit)
    }

    /// 64 bits for choices that are left to chance. They decide nothing that anybody could gain by guessing, so that one
    /// seed does for all of them: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    fn random(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self
            .chance
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
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

//! What callers can do with endpoints.

mod deploy;
pub(crate) mod releases;
mod routing;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use corliss_clock::Sources;
use corliss_engine::client::EngineClient;
use corliss_engine::protocol::Stats;
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, Wake, WorkerBoard};
use corliss_types::{ReplicaId, Resources};
use tokio::sync::watch;

use crate::ports::{Lineage, ModelResolver, ReplicaJobs, Sealer, Traffic};
use crate::reconcile::EndpointReconciler;
use crate::services::list_services;
use crate::sockets::Sockets;
use crate::{RouteTable, ServingError};

pub(crate) use deploy::comparable;
use releases::Baselines;

/// The reconciler looks at everything at least this often, signal or not.
const PERIOD: Duration = Duration::from_secs(2);
/// For a pass of the reconciler.
const ROUTED_PATIENCE: Duration = Duration::from_secs(2);

/// What serving is made of.
pub struct ServingParts {
    /// The metadata store.
    pub store: Metastore,
    /// Time and randomness.
    pub sources: Sources,
    /// Finds models.
    pub models: Arc<dyn ModelResolver>,
    /// Runs replicas.
    pub jobs: Arc<dyn ReplicaJobs>,
    /// Remembers deployments.
    pub lineage: Arc<dyn Lineage>,
    /// Seals the keys of services.
    pub sealer: Arc<dyn Sealer>,
    /// Counts requests.
    pub traffic: Arc<dyn Traffic>,
    /// Private folder of the running installation; sockets go below it.
    pub run_folder: PathBuf,
    /// What runs models and is not part of this binary.
    pub runtimes: Runtimes,
    /// What the machine has to give.
    pub machine: Resources,
}

/// What runs models and is not part of this binary.
#[derive(Debug, Clone, Default)]
pub struct Runtimes {
    /// One Python for all models that only Python loads, used as it is.
    pub python: Option<PathBuf>,
    /// Where environments of theirs are made otherwise.
    pub environments: PathBuf,
    /// The library of ONNX Runtime; tract runs ONNX models otherwise.
    pub onnx: Option<PathBuf>,
}

/// Endpoints. Shared by the handlers, the reconciler and other rooms' ports.
pub struct Serving {
    pub(crate) parts: ServingParts,
    pub(crate) sockets: Sockets,
    wake: Wake,
    table: watch::Sender<RouteTable>,
    engines: Mutex<BTreeMap<ReplicaId, Engine>>,
    pub(crate) baselines: Baselines,
    publishing: tokio::sync::Mutex<()>,
}

/// What is known of a replica's engine beyond its row: the way to it, and its last counters.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) client: EngineClient,
    pub(crate) stats: Stats,
    /// When it told anything last, or was met, on a clock that is never set.
    heard: Duration,
    /// How often it was asked since and told nothing.
    missed: u32,
    /// Whether it is being asked.
    probing: bool,
}

impl Serving {
    /// Opens the room; nothing runs before [`Serving::start`].
    pub fn open(parts: ServingParts) -> Result<Arc<Self>, ServingError> {
        let sockets = Sockets::open(&parts.run_folder)?;
        Ok(Arc::new(Self {
            parts,
            sockets,
            wake: Wake::new(),
            table: watch::Sender::new(RouteTable::default()),
            engines: Mutex::new(BTreeMap::new()),
            baselines: Baselines::default(),
            publishing: tokio::sync::Mutex::default(),
        }))
    }

    /// Starts the reconciler.
    pub fn start(self: &Arc<Self>, shutdown: Shutdown, workers: &WorkerBoard) {
        let reconciler = Arc::new(EndpointReconciler::new(self.clone()));
        corliss_reconcile::spawn(reconciler, PERIOD, self.wake.clone(), shutdown, workers);
    }

    /// To be signalled when an alias moved or a replica's job changed.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Follows what may take requests.
    #[must_use]
    pub fn route_table(&self) -> watch::Receiver<RouteTable> {
        self.table.subscribe()
    }

    /// Publishes endpoints whose engines run here, if they differ from the last ones.
    pub(crate) fn publish(&self, endpoints: Vec<crate::RouteEndpoint>) {
        self.table.send_if_modified(|table| {
            if table.endpoints_known && table.endpoints == endpoints {
                return false;
            }
            table.generation += 1;
            table.endpoints_known = true;
            table.endpoints = endpoints;
            true
        });
    }

    /// Publishes services as they are stored now, if they differ from the last ones.
    pub(crate) async fn publish_services(&self) -> Result<(), ServingError> {
        // Whoever reads first publishes first: an older reading must not come after a newer one.
        let _turn = self.publishing.lock().await;
        let store = &self.parts.store;
        let rows = store.read(|tx| Ok::<_, ServingError>(list_services(tx)?)).await?;
        let services = self.route_services(rows);
        self.table.send_if_modified(|table| {
            if table.services_known && table.services == services {
                return false;
            }
            table.generation += 1;
            table.services_known = true;
            table.services = services;
            true
        });
        Ok(())
    }

    /// Waits until those who route know an endpoint, so that whoever made it may ask after it; not for long, since it
    /// will be known anyway.
    pub(crate) async fn until_routed(&self, name: &str) {
        let mut table = self.table.subscribe();
        let known = |table: &RouteTable| table.endpoints.iter().any(|endpoint| endpoint.name == name);
        let _ = tokio::time::timeout(ROUTED_PATIENCE, table.wait_for(known)).await;
    }

    pub(crate) fn client(&self, replica: &ReplicaId) -> EngineClient {
        let mut engines = self.engines();
        let engine = engines.entry(replica.clone()).or_insert_with(|| Engine {
            client: EngineClient::unix(self.sockets.path(replica)),
            stats: Stats::default(),
            heard: self.parts.sources.clock.monotonic(),
            missed: 0,
            probing: false,
        });
        engine.client.clone()
    }

    pub(crate) fn stats(&self, replica: &ReplicaId) -> Stats {
        self.engines()
            .get(replica)
            .map(|engine| engine.stats.clone())
            .unwrap_or_default()
    }

    pub(crate) fn set_stats(&self, replica: &ReplicaId, stats: Stats) {
        let now = self.parts.sources.clock.monotonic();
        if let Some(engine) = self.engines().get_mut(replica) {
            (engine.stats, engine.heard, engine.missed) = (stats, now, 0);
        }
    }

    /// It was asked what it does and told nothing.
    pub(crate) fn missed(&self, replica: &ReplicaId) {
        if let Some(engine) = self.engines().get_mut(replica) {
            engine.missed = engine.missed.saturating_add(1);
        }
    }

    /// Asks what a replica does, beside whoever wants to know: one that hangs must not make everybody wait.
    pub(crate) fn probe(self: &Arc<Self>, replica: &ReplicaId) {
        let client = self.client(replica);
        let is_first = |engine: &mut Engine| !std::mem::replace(&mut engine.probing, true);
        if !self.engines().get_mut(replica).is_some_and(is_first) {
            return;
        }
        let (serving, replica) = (self.clone(), replica.clone());
        tokio::spawn(async move {
            match client.stats().await {
                Ok(stats) => serving.set_stats(&replica, stats),
                Err(_) => serving.missed(&replica),
            }
            if let Some(engine) = serving.engines().get_mut(&replica) {
                engine.probing = false;
            }
        });
    }

    /// How long it has told nothing, and how often it was asked meanwhile.
    pub(crate) fn silence(&self, replica: &ReplicaId) -> (Duration, u32) {
        let now = self.parts.sources.clock.monotonic();
        let engines = self.engines();
        let silence = |engine: &Engine| (now.saturating_sub(engine.heard), engine.missed);
        engines.get(replica).map(silence).unwrap_or_default()
    }

    /// Forgets a replica that ended, and its socket.
    pub(crate) fn forget(&self, replica: &ReplicaId) {
        self.engines().remove(replica);
        // The engine removes it too, unless it was killed.
        let socket = self.sockets.path(replica);
        let _ = std::fs::remove_file(&socket);
        let _ = std::fs::remove_dir_all(socket.with_extension("work"));
    }

    fn engines(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, Engine>> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

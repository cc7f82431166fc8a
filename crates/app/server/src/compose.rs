//! Opens every room, in the order in which they lean on each other, and collects their routes.

use std::sync::Arc;
use std::time::Duration;

use corliss_blobstore::CachedBackend;
use corliss_clock::Sources;
use corliss_data::{DataService, InUse, InputCache, Limits};
use corliss_executor::inventory::{DeclaredInventory, Inventory, NvmlProbe};
use corliss_executor::{LocalConfig, LocalExecutor};
use corliss_gateway::{Gateway, GatewayConfig};
use corliss_http::{Perimeter, Routes};
use corliss_jobs::{Jobs, JobsConfig};
use corliss_lend::Folders;
use corliss_metastore::{Metastore, MetastoreConfig};
use corliss_pipelines::ports::Ports;
use corliss_pipelines::{Pipelines, PipelinesConfig};
use corliss_reconcile::{Shutdown, Wake, WorkerBoard};
use corliss_registry::Registry;
use corliss_security::{Keeper, Security};
use corliss_serving::{Runtimes, Serving, ServingParts};
use corliss_traces::{Evaluation, Traces};
use corliss_tracking::Tracking;
use corliss_types::Accelerator;
use corliss_webhook::WebhookClient;

use crate::config::MachineLimits;
use crate::console::Console;
use crate::lifecycle::Stop;
use crate::routes::{self, Keys, Sealed, System};
use crate::{Config, Home, ServerError, storage, wiring};

const KEEPER_PERIOD: Duration = Duration::from_secs(1);

/// Every room, open.
pub struct Rooms {
    /// Who may enter.
    pub security: Arc<Security>,
    /// Jobs.
    pub jobs: Arc<Jobs>,
    data: DataService,
    inputs: InputCache,
    tracking: Tracking,
    traces: Traces,
    evaluation: Evaluation,
    registry: Registry,
    serving: Arc<Serving>,
    gateway: Arc<Gateway>,
    pipelines: Arc<Pipelines>,
    in_use: Arc<dyn InUse>,
    cache: Option<CachedBackend>,
    keys: Keys,
    keeper_wake: Wake,
    sources: Sources,
    inventory: Inventory,
    database: String,
}

impl Rooms {
    /// Opens them. Nothing runs in the background before [`Rooms::start`].
    pub async fn open(
        config: &Config,
        home: &Home,
        sources: &Sources,
        url: &str,
        submitters: &Shutdown,
    ) -> Result<Self, ServerError> {
        let at = database(config, home);
        let store = Metastore::open(&at, MIGRATIONS)
            .await
            .map_err(ServerError::room("the database"))?;
        let keeper_wake = Wake::new();
        let key = home.root().join("key");
        let security = Security::open(store.clone(), sources.clone(), keeper_wake.clone(), &key)
            .map_err(ServerError::room("security"))?;
        let storage::Opened {
            blobs,
            cache,
            key_file,
        } = storage::open(config, home).await?;
        let keys = Keys {
            ring: Arc::clone(blobs.keyring()),
            file: key_file,
        };
        let webhooks = WebhookClient::new(config.webhooks.clone());
        let mut data = DataService::new(store.clone(), blobs.clone(), sources.clone(), Limits::default())
            .with_remotes(storage::remotes(config, home)?)
            .with_folders(folders(home)?)
            .with_webhooks(webhooks.clone())
            .with_sources(storage::sources(config, home)?);
        if let Some(remote) = &config.repair_from {
            data = data
                .with_repair_from(remote)
                .map_err(ServerError::room("the remotes"))?;
        }
        let artifacts = Arc::new(wiring::tracking::ArtifactBlobs(blobs));
        let tracking = Tracking::open(store.clone(), sources.clone(), artifacts)
            .await
            .map_err(ServerError::room("tracking"))?
            .with_tickets(security.key_for("artifact tickets"), config.tls.is_some())
            .with_traces(Arc::new(wiring::tracking::StoredTraces(store.clone())));
        let tracked = Arc::new(wiring::traces::Tracked(tracking.clone()));
        let traces = Traces::new(
            store.clone(),
            sources.clone(),
            tracked.clone(),
            tracked.clone(),
            tracked.clone(),
        );
        let evaluation = Evaluation::new(store.clone(), sources.clone(), tracked);
        let models = corliss_registry::Ports {
            sources: Arc::new(wiring::registry::Sources {
                data: data.clone(),
                tracking: tracking.clone(),
            }),
            lineage: Arc::new(wiring::registry::Registrations(data.clone())),
            sealer: Arc::new(wiring::registry::Secrets(data.clone())),
        };
        let registry = Registry::new(store.clone(), sources.clone(), models, webhooks);
        let inventory = Inventory::detect(&declared(&config.machine), &NvmlProbe);
        let program = std::env::current_exe().map_err(ServerError::Runtime)?;
        let executor = Arc::new(LocalExecutor::new(
            LocalConfig::of_binary(&program),
            sources.clock.clone(),
        ));
        let jobs_config = JobsConfig::under(home.run().join("tasks"));
        let jobs = Jobs::new(
            jobs_config,
            store.clone(),
            executor,
            inventory.clone(),
            sources.clone(),
        );
        let counted = Arc::new(wiring::gateway::Counted::default());
        let serving = Serving::open(ServingParts {
            store: store.clone(),
            sources: sources.clone(),
            models: Arc::new(wiring::serving::Models {
                registry: registry.clone(),
                data: data.clone(),
                folder: home.work().join("models"),
            }),
            jobs: Arc::new(wiring::serving::Replicas {
                jobs: jobs.clone(),
                program,
                folder: home.run(),
                environment: wiring::serving::Replicas::inherited(),
            }),
            lineage: Arc::new(wiring::serving::Deployments {
                data: data.clone(),
                registry: registry.clone(),
            }),
            sealer: Arc::new(wiring::registry::Secrets(data.clone())),
            traffic: counted.clone(),
            run_folder: home.run(),
            runtimes: Runtimes {
                python: config.python.clone(),
                environments: home.work().join("environments"),
                onnx: config.onnx_runtime.clone(),
            },
            machine: inventory.total,
        })
        .map_err(ServerError::room("serving"))?;
        jobs.also_wake(serving.wake());
        let table = wiring::gateway::route_table(serving.route_table());
        let gateway = Gateway::open(GatewayConfig::default(), store.clone(), sources.clone(), table)
            .await
            .map_err(ServerError::room("gateway"))?;
        if let Some(collector) = &config.otlp_endpoint {
            gateway
                .export_spans(collector)
                .map_err(ServerError::room("gateway"))?;
        }
        counted.by(&gateway);
        let inputs = InputCache::new(data.clone(), home.work().join("inputs"), config.input_cache_bytes);
        let ports = Ports {
            datasets: Arc::new(wiring::pipelines::Versions {
                data: data.clone(),
                inputs: inputs.clone(),
            }),
            jobs: Arc::new(wiring::pipelines::StepJobs(jobs.clone())),
            tracking: Arc::new(wiring::pipelines::StepRuns(tracking.clone())),
            models: Arc::new(wiring::pipelines::Models {
                registry: registry.clone(),
                moved: serving.wake(),
            }),
            endpoints: Arc::new(wiring::pipelines::Endpoints(serving.clone())),
            tokens: Arc::new(wiring::pipelines::Tokens(security.clone())),
        };
        let mut work = PipelinesConfig::new(home.work().join("runs"), url.to_owned());
        work.ca = config.tls.as_ref().and_then(|tls| tls.ca.clone());
        let pipelines = Pipelines::new(store, sources.clone(), ports, work, submitters.clone());
        let in_use = Arc::new(wiring::in_use::References {
            pipelines: pipelines.clone(),
            registry: registry.clone(),
            tracking: tracking.clone(),
        });
        Ok(Self {
            security,
            jobs,
            data,
            inputs,
            tracking,
            traces,
            evaluation,
            registry,
            serving,
            gateway,
            pipelines,
            in_use,
            cache,
            keys,
            keeper_wake,
            sources: sources.clone(),
            inventory,
            database: at.to_string(),
        })
    }

    /// Starts the background workers: those who submit work stop at `submitters`, the others at `rest`.
    pub fn start(&self, submitters: &Shutdown, rest: &Shutdown, workers: &WorkerBoard) {
        let keeper = Arc::new(Keeper::new(self.security.clone()));
        corliss_reconcile::spawn(
            keeper,
            KEEPER_PERIOD,
            self.keeper_wake.clone(),
            rest.clone(),
            workers,
        );
        self.jobs.spawn(rest, workers);
        self.serving.start(submitters.clone(), workers);
        self.pipelines.start(workers);
        corliss_data::spawn_upkeep(&self.data, self.in_use.clone(), rest, workers);
        self.inputs.spawn(rest, workers);
        corliss_tracking::spawn(&self.tracking, rest, workers);
        corliss_traces::spawn(&self.traces, self.tracking.purged().clone(), rest, workers);
        corliss_registry::spawn(&self.registry, rest, workers);
    }

    /// Waits until no run is driven any more; for after `submitters`.
    pub async fn drain_submitters(&self) {
        self.pipelines.drain().await;
    }

    /// Waits until what requests have used is written down; for after the listener.
    pub async fn drain_gateway(&self) {
        self.gateway.drain().await;
    }
}

const MIGRATIONS: &[corliss_metastore::Migrations] = &[
    corliss_security::MIGRATIONS,
    corliss_data::MIGRATIONS,
    corliss_tracking::MIGRATIONS,
    corliss_traces::MIGRATIONS,
    corliss_registry::MIGRATIONS,
    corliss_jobs::MIGRATIONS,
    corliss_serving::MIGRATIONS,
    corliss_gateway::MIGRATIONS,
    corliss_pipelines::MIGRATIONS,
];

/// Where clients on this machine lend folders.
fn folders(home: &Home) -> Result<Folders, ServerError> {
    Folders::listen(&home.run().join("folders")).map_err(|source| ServerError::Home {
        path: home.root().to_path_buf(),
        source,
    })
}

fn database(config: &Config, home: &Home) -> MetastoreConfig {
    match &config.database_url {
        Some(url) => MetastoreConfig::Postgres { url: url.clone() },
        None => MetastoreConfig::Sqlite {
            path: home.database(),
        },
    }
}

fn declared(machine: &MachineLimits) -> DeclaredInventory {
    let accelerator = |index: u32| Accelerator {
        index,
        uuid: format!("declared-{index}"),
        model: "declared".to_owned(),
        memory_bytes: 0,
    };
    DeclaredInventory {
        cpu_milli: machine.cpu_milli,
        memory_bytes: machine.memory_bytes,
        accelerators: machine
            .accelerators
            .map(|count| (0..count).map(accelerator).collect()),
    }
}

/// Everything that the one address serves.
pub fn all_routes(
    rooms: &Rooms,
    home: &Home,
    url: &str,
    config: &Config,
    workers: &WorkerBoard,
    stop: &Stop,
) -> Routes {
    let system = Arc::new(System {
        home: home.root().to_path_buf(),
        url: url.to_owned(),
        database: rooms.database.clone(),
        started: rooms.sources.clock.now(),
        workers: workers.clone(),
        inventory: rooms.inventory.clone(),
        jobs: rooms.jobs.clone(),
        stop: stop.clone(),
    });
    routes::routes(&system)
        .merge(routes::key_routes(
            &rooms.keys,
            Sealed {
                data: rooms.data.clone(),
                inputs: rooms.inputs.clone(),
                registry: rooms.registry.clone(),
                in_use: rooms.in_use.clone(),
            },
        ))
        .merge(rooms.security.routes(config.tls.is_some()))
        .merge(corliss_data::routes(rooms.data.clone()))
        .merge(corliss_data::hook_routes(&rooms.data))
        .merge(corliss_data::upkeep_routes(
            rooms.data.clone(),
            rooms.in_use.clone(),
            rooms.cache.clone(),
        ))
        .merge(corliss_tracking::http::routes(rooms.tracking.clone()))
        .merge(corliss_traces::http::routes(rooms.traces.clone()))
        .merge(corliss_traces::http::evaluation_routes(rooms.evaluation.clone()))
        .merge(corliss_registry::http::routes(rooms.registry.clone()))
        .merge(corliss_jobs::http::routes(&rooms.jobs))
        .merge(rooms.serving.routes())
        .merge(
            rooms
                .gateway
                .routes(Arc::new(wiring::gateway::Deployments(rooms.serving.clone()))),
        )
        .merge(rooms.pipelines.routes())
        .console(Arc::new(Console))
        .perimeter(Perimeter::with_hosts(config.hosts.clone()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]
mod every_route;

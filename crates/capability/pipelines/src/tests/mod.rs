//! Runs from outside the drivers, over twins of the other rooms that live on when a server is killed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

mod flow;
mod kill;
mod routes;
mod scale;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, WorkerBoard};
use corliss_types::{IdSeed, Principal, PrincipalId, Role, RunId, Timestamp};
use tokio::runtime::Runtime;

use crate::drive::Context;
use crate::types::RunDetail;
use crate::{MIGRATIONS, NewRun, Pipelines, PipelinesConfig, PipelinesError, ShellEnvironment};
use world::World;

/// Where a test kills a server: every effect passes it before and after, and after the fatal one nothing
/// ever gets through again, as after kill -9.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    passes: AtomicU64,
    /// Zero means never.
    fatal: AtomicU64,
    dead: AtomicBool,
}

impl Gate {
    fn killing_at(pass: u64) -> Self {
        Self {
            fatal: AtomicU64::new(pass),
            ..Self::default()
        }
    }

    pub(crate) async fn pass(&self) {
        if !self.dead.load(Ordering::SeqCst) {
            let number = self.passes.fetch_add(1, Ordering::SeqCst) + 1;
            if number != self.fatal.load(Ordering::SeqCst) {
                return;
            }
            self.dead.store(true, Ordering::SeqCst);
        }
        std::future::pending::<()>().await;
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

/// One life of a server over a store and a world that outlive it.
struct Server {
    pipelines: Arc<Pipelines>,
    shutdown: Shutdown,
    gate: Arc<Gate>,
    /// Its own, so that nothing of a dead server still runs when the next one starts.
    runtime: Option<Runtime>,
}

impl Server {
    fn start(store: &Metastore, world: &Arc<World>, gate: Gate) -> Self {
        let (shutdown, gate, sources) = (Shutdown::new(), Arc::new(gate), Sources::system());
        let config = PipelinesConfig::new(world.home.path().join("work"), "http://127.0.0.1:7070".to_owned());
        let ports = world.ports(&gate);
        let mut context = Context::new(store.clone(), sources.clone(), ports, config, shutdown.clone());
        context.gate = gate.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let pipelines = Pipelines::over(context);
        {
            let _inside = runtime.enter();
            pipelines.start(&WorkerBoard::new(&sources));
        }
        Self {
            pipelines,
            shutdown,
            gate,
            runtime: Some(runtime),
        }
    }

    /// The run once it has ended; `None` if the server was killed before.
    async fn ended(&self, id: &RunId) -> Option<RunDetail> {
        for _ in 0..6_000 {
            if self.gate.is_dead() {
                return None;
            }
            let run = self.pipelines.run(id).await.unwrap();
            if run.summary.state.is_ended() {
                return Some(run);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "the run does not end: {:#?}",
            self.pipelines.run(id).await.unwrap()
        );
    }

    async fn submit(&self, world: &World, file: &str) -> Result<RunId, PipelinesError> {
        self.pipelines
            .create_run(world.new_run(file), &engineer("ada"))
            .await
    }

    async fn run_to_end(&self, world: &World, file: &str) -> RunDetail {
        let id = self.submit(world, file).await.unwrap();
        self.ended(&id).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.trigger();
        // A runtime waits for its threads, which an async context forbids; a thread of its own may.
        let runtime = self.runtime.take();
        std::thread::spawn(|| drop(runtime)).join().unwrap();
    }
}

async fn memory() -> Metastore {
    Metastore::in_memory(&[MIGRATIONS]).await.unwrap()
}

async fn server() -> (Server, Arc<World>) {
    let world = World::new();
    (Server::start(&memory().await, &world, Gate::default()), world)
}

/// Someone who may do all that a project file can ask for.
fn engineer(name: &str) -> Principal {
    Principal {
        id: PrincipalId::new(IdSeed {
            at: Timestamp::from_millis(1),
            random: [7; 10],
        }),
        name: name.to_owned(),
        role: Role::MlEngineer,
    }
}

fn environment() -> ShellEnvironment {
    ShellEnvironment {
        path: "/usr/bin:/bin".to_owned(),
        ..ShellEnvironment::default()
    }
}

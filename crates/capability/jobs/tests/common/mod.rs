//! What the tests of jobs share: a room over a store and an executor, and waiting for it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corliss_clock::Sources;
use corliss_executor::inventory::{Inventory, InventorySource};
use corliss_executor::{Executor, LocalConfig, LocalExecutor};
use corliss_jobs::{Command, Job, JobKind, JobSpec, Jobs, JobsConfig, Launcher, Terms};
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, WorkerBoard};
use corliss_types::{Accelerator, JobId, Resources};

/// Generous: these machines are busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Four CPUs, 8 GiB, two accelerators, whatever this machine has.
pub fn inventory() -> Inventory {
    let card = |index| Accelerator {
        index,
        uuid: format!("T-{index}"),
        model: "test".into(),
        memory_bytes: 1 << 30,
    };
    Inventory {
        total: Resources {
            cpu_milli: 4000,
            memory_bytes: 8 << 30,
            accelerators: 2,
        },
        accelerators: vec![card(0), card(1)],
        source: InventorySource::Declared,
        notes: Vec::new(),
    }
}

/// The real executor, with the example beside the test binaries as its shim.
pub fn local() -> Arc<dyn Executor> {
    let test = std::env::current_exe().unwrap();
    let shim = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/jobs-shim");
    let config = LocalConfig {
        shim_command: vec![shim.display().to_string()],
        start_timeout: DEADLINE,
        use_cgroups: false,
    };
    Arc::new(LocalExecutor::new(config, Sources::system().clock))
}

/// A room that runs until dropped.
pub struct Room {
    pub jobs: Arc<Jobs>,
    shutdown: Shutdown,
    pub board: WorkerBoard,
}

impl Room {
    pub fn over(store: &Metastore, executor: &Arc<dyn Executor>, root: &Path) -> Self {
        let config = JobsConfig::under(root.join("tasks"));
        let jobs = Jobs::new(
            config,
            store.clone(),
            executor.clone(),
            inventory(),
            Sources::system(),
        );
        Self {
            jobs,
            shutdown: Shutdown::new(),
            board: WorkerBoard::new(&Sources::system()),
        }
    }

    pub fn running(self) -> Self {
        self.jobs.spawn(&self.shutdown, &self.board);
        self
    }

    pub async fn until(&self, id: &JobId, what: &str, done: impl Fn(&Job) -> bool) -> Job {
        let begun = Instant::now();
        let mut changes = self.jobs.changed().listen();
        loop {
            changes.forget();
            let job = self.jobs.get(id).await.unwrap();
            if done(&job) {
                return job;
            }
            assert!(
                begun.elapsed() < DEADLINE,
                "{what}: {job:?}\n{:?}",
                self.board.list()
            );
            let _ = tokio::time::timeout(Duration::from_millis(200), changes.wait()).await;
        }
    }

    pub async fn ended(&self, id: &JobId) -> Job {
        self.until(id, "the job ends", |job| job.state.is_final()).await
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

pub fn spec(root: &Path, script: &str) -> JobSpec {
    JobSpec {
        name: "step".to_owned(),
        kind: JobKind::Batch,
        run_id: None,
        step: None,
        attempt: 1,
        workers: 1,
        launcher: Launcher::None,
        command: Command::Argv(["sh", "-c", script].map(str::to_owned).to_vec()),
        env: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
        cwd: root.to_owned(),
        resources: Resources {
            cpu_milli: 1000,
            memory_bytes: 0,
            accelerators: 0,
        },
        timeout_ms: None,
        grace_ms: 10_000,
        checkpoint: None,
        log_limit_bytes: 1 << 20,
        terms: Terms::default(),
    }
}

//! What others ask of jobs. Handlers and other rooms call this; reconcilers do the rest.

mod cancel;
mod foresee;
mod logs;
mod nodes;
mod observe;
mod queue;
mod queues;
mod submit;
mod usage;
mod why;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use corliss_clock::Sources;
use corliss_executor::Executor;
use corliss_executor::inventory::Inventory;
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, Wake, WorkerBoard, spawn};
use corliss_types::{DurationMs, JobId, RunId, Timestamp};
use tokio::sync::broadcast;

use crate::live::Live;
use crate::reconcile::{Admission, Checkpoints, Lifecycle};
use crate::{Job, JobsConfig, JobsError, store};

pub use foresee::{Foreseen, Wish};
pub use logs::{LogRequest, LogSlice};
pub use nodes::{AcceleratorView, Drained, NodeJob, NodeView, NodesView};
pub use observe::{JobFilter, JobPage};
pub use queue::{QueueItem, QueueView};
pub use queues::{Affected, Effect, QueueUsage, QueuesView};
pub use why::{Why, WhyReason};

/// Between rounds of the reconcilers without a signal.
const PERIOD: Duration = Duration::from_secs(2);

/// Changes that a slow reader may be behind before it misses some.
const FEED_LEN: usize = 4096;

/// A job has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobChanged {
    /// Which.
    pub job: JobId,
    /// The pipeline run it belongs to.
    pub run: Option<RunId>,
}

/// The jobs room. Cheap to share as an `Arc`.
pub struct Jobs {
    pub(crate) config: JobsConfig,
    pub(crate) store: Metastore,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) inventory: Inventory,
    pub(crate) sources: Sources,
    pub(crate) admission: Wake,
    pub(crate) lifecycle: Wake,
    changed: Wake,
    feed: broadcast::Sender<JobChanged>,
    /// When the last job was submitted.
    last_submitted: Mutex<Timestamp>,
    /// This boot of the machine.
    pub(crate) boot_id: String,
    listeners: Mutex<Vec<Wake>>,
    /// The scheduler, from the first round on.
    pub(crate) live: tokio::sync::Mutex<Option<Live>>,
    /// Set while the server goes down: nothing is admitted any more.
    pub(crate) closed: std::sync::atomic::AtomicBool,
}

impl Jobs {
    /// Makes the room; nothing runs before [`Jobs::spawn`].
    #[must_use]
    pub fn new(
        config: JobsConfig,
        store: Metastore,
        executor: Arc<dyn Executor>,
        inventory: Inventory,
        sources: Sources,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            store,
            executor,
            inventory,
            sources,
            admission: Wake::new(),
            lifecycle: Wake::new(),
            changed: Wake::new(),
            feed: broadcast::Sender::new(FEED_LEN),
            last_submitted: Mutex::default(),
            boot_id: corliss_executor::boot_id(),
            listeners: Mutex::default(),
            live: tokio::sync::Mutex::default(),
            closed: false.into(),
        })
    }

    /// What the machine has.
    #[must_use]
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Starts the reconcilers. The first round of each takes up what an earlier process left.
    pub fn spawn(self: &Arc<Self>, shutdown: &Shutdown, board: &WorkerBoard) {
        let admission = Arc::new(Admission(self.clone()));
        spawn(admission, PERIOD, self.admission.clone(), shutdown.clone(), board);
        let lifecycle = Arc::new(Lifecycle::new(self.clone()));
        spawn(lifecycle, PERIOD, self.lifecycle.clone(), shutdown.clone(), board);
        spawn(
            Arc::new(Checkpoints(self.clone())),
            PERIOD,
            Wake::new(),
            shutdown.clone(),
            board,
        );
        let (mut changes, wake, shutdown) =
            (self.executor.changes(), self.lifecycle.clone(), shutdown.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.wait() => return,
                    changed = changes.changed() => match changed {
                        Ok(()) => wake.signal(),
                        Err(_) => return,
                    },
                }
            }
        });
    }

    /// Signalled whenever some job may have changed.
    #[must_use]
    pub fn changed(&self) -> Wake {
        self.changed.clone()
    }

    /// Also signals this whenever some job may have changed: for another room's reconciler.
    pub fn also_wake(&self, wake: Wake) {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wake);
    }

    /// Which jobs change, after the change is stored. A slow reader misses some, and what happens to many jobs
    /// at once is told by [`Jobs::changed`] alone: states are to be read anew now and then.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<JobChanged> {
        self.feed.subscribe()
    }

    pub(crate) fn signal_changed(&self, job: Option<&Job>) {
        self.changed.signal();
        if let Some(job) = job {
            // Nobody listening is fine.
            let _ = self.feed.send(JobChanged {
                job: job.id.clone(),
                run: job.spec.run_id.clone(),
            });
        }
        for listener in self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            listener.signal();
        }
    }

    /// The time of a submission, later than that of every earlier one: jobs of one millisecond would otherwise
    /// queue by the chance of their ids.
    pub(crate) fn submission_time(&self) -> Timestamp {
        let mut last = self.last_submitted.lock().unwrap_or_else(PoisonError::into_inner);
        *last = self.sources.clock.now().max(*last + DurationMs(1));
        *last
    }

    pub(crate) async fn load(&self, id: &JobId) -> Result<Job, JobsError> {
        let wanted = id.clone();
        let found = self.store.read(move |tx| store::by_id(tx, &wanted)).await?;
        found.ok_or_else(|| JobsError::NotFound { job: id.to_string() })
    }
}

/// Runs file work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JobsError> + Send + 'static,
) -> Result<T, JobsError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(JobsError::Interrupted))
}

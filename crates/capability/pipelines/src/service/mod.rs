//! What can be asked of pipelines.

mod cancel;
mod create;
mod foresee;
mod read;
mod rerun;

use std::sync::Arc;
use std::time::Duration;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, Wake, WorkerBoard};
use corliss_types::RunId;
use tokio::sync::broadcast;

pub use create::NewRun;
pub use foresee::{Foreseen, ForeseenStep};

use crate::config::PipelinesConfig;
use crate::drive::{Context, Drivers, Supervisor, Sweeper};
use crate::ports::Ports;

/// How often the supervisor looks without a signal.
const PERIOD: Duration = Duration::from_secs(10);
/// How often the sweeper looks without a signal.
const SWEEP_PERIOD: Duration = Duration::from_secs(300);

/// The service.
pub struct Pipelines {
    pub(crate) context: Arc<Context>,
    drivers: Arc<Drivers>,
    wake: Wake,
}

impl Pipelines {
    /// A service over a store that has [`crate::MIGRATIONS`]; nothing runs before [`Pipelines::start`].
    #[must_use]
    pub fn new(
        store: Metastore,
        sources: Sources,
        ports: Ports,
        config: PipelinesConfig,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        Self::over(Context::new(store, sources, ports, config, shutdown))
    }

    pub(crate) fn over(context: Context) -> Arc<Self> {
        let wake = Wake::new();
        Arc::new(Self {
            context: Arc::new(context),
            drivers: Arc::new(Drivers::new(wake.clone())),
            wake,
        })
    }

    /// Starts the background loops; unfinished runs of an earlier process go on.
    pub fn start(&self, workers: &WorkerBoard) {
        let (context, drivers) = (self.context.clone(), self.drivers.clone());
        let shutdown = self.context.shutdown.clone();
        let supervisor = Arc::new(Supervisor {
            context: context.clone(),
            drivers,
        });
        corliss_reconcile::spawn(supervisor, PERIOD, self.wake.clone(), shutdown.clone(), workers);
        // The same signal: a driver's end is when there is something to sweep.
        corliss_reconcile::spawn(
            Arc::new(Sweeper { context }),
            SWEEP_PERIOD,
            self.wake.clone(),
            shutdown,
            workers,
        );
    }

    /// Waits until the drivers have stopped; call it after shutdown was triggered.
    pub async fn drain(&self) {
        self.drivers.drain().await;
    }

    /// The ids of runs that change, after the change is stored. A slow reader misses some: read anew then.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<RunId> {
        self.context.feed.subscribe()
    }

    fn changed(&self, run: &RunId) {
        self.wake.signal();
        // Nobody listening is fine.
        let _ = self.context.feed.send(run.clone());
    }
}

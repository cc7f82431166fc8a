//! Carrying runs out: one driver per unfinished run, and a supervisor that sees to it that there is one.
//!
//! A driver holds its run in memory as the view that the policy decides from. A pass decides until nothing
//! changes, commits everything that was decided in one transaction, and only then lets anything happen. So
//! a chain costs one commit per step here, and a fan-out one commit per batch. What a driver holds can be
//! lost at any instruction: the supervisor starts another, which reads the record and asks jobs what became
//! of the attempts in progress.

mod active;
mod close;
mod driver;
mod operations;
mod pass;
mod prepare;
mod publish;
mod release;
mod supervisor;
mod sweep;
mod told;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_reconcile::Shutdown;
use corliss_types::RunId;
use tokio::sync::{Mutex, Semaphore, broadcast};

use crate::config::PipelinesConfig;
use crate::error::PipelinesError;
use crate::ports::Ports;
use crate::store::{self, Record};

pub(crate) use active::view_of;
pub(crate) use supervisor::{Drivers, Supervisor};
pub(crate) use sweep::Sweeper;
pub(crate) use told::waiting_reason;

/// Attempts being prepared, or steps being closed, at once: bounds open files and copies in progress.
const PREPARING: usize = 16;
/// Outputs being stored at once: each hashes and writes whole folders.
const PUBLISHING: usize = 4;
/// Changes of runs that a slow listener may fall behind.
const FEED: usize = 1024;

/// What every driver shares.
pub(crate) struct Context {
    pub(crate) store: Metastore,
    pub(crate) sources: Sources,
    pub(crate) ports: Ports,
    pub(crate) config: PipelinesConfig,
    /// Says which run has changed, after it is stored.
    pub(crate) feed: broadcast::Sender<RunId>,
    pub(crate) shutdown: Shutdown,
    preparing: Semaphore,
    publishing: Semaphore,
    /// One sweeps at a time.
    sweeping: Mutex<()>,
    /// Where a test kills the process.
    #[cfg(test)]
    pub(crate) gate: std::sync::Arc<crate::tests::Gate>,
}

impl Context {
    pub(crate) fn new(
        store: Metastore,
        sources: Sources,
        ports: Ports,
        config: PipelinesConfig,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            store,
            sources,
            ports,
            config,
            feed: broadcast::Sender::new(FEED),
            shutdown,
            preparing: Semaphore::new(PREPARING),
            publishing: Semaphore::new(PUBLISHING),
            sweeping: Mutex::default(),
            #[cfg(test)]
            gate: std::sync::Arc::default(),
        }
    }

    /// Stores what a driver decided; durable when this returns.
    async fn commit(&self, run: &RunId, records: Vec<Record>) -> Result<(), PipelinesError> {
        let (id, now) = (run.clone(), self.sources.clock.now());
        #[cfg(test)]
        self.gate.pass().await;
        self.store
            .write::<_, PipelinesError, _>(move |tx| store::apply(tx, &id, &records, now))
            .await?;
        #[cfg(test)]
        self.gate.pass().await;
        // Nobody listening is fine.
        let _ = self.feed.send(run.clone());
        Ok(())
    }
}

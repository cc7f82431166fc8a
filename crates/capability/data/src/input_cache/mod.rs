//! Versions that steps read: laid out once for all runs, and left there for the next one as long as there is room.
//!
//! A run holds what it reads from before it is laid out until it has ended; what is held is never removed. A folder
//! that a step wrote into is laid out anew, unless another run holds it: then who comes gets a folder of its own.

mod shelf;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::{Diagnose, Meaning, counted};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use corliss_types::{RunId, VersionId};

use crate::service::{Turns, blocking};
use crate::{DataError, DataService};
use shelf::Shelf;

/// What nobody has read for so long goes: it lies there in the clear.
const IDLE_MAX: Duration = Duration::from_hours(24);
const PERIOD: Duration = Duration::from_mins(10);

/// Folders with versions; cheap to clone.
#[derive(Clone)]
pub struct InputCache {
    data: DataService,
    shelf: Arc<Shelf>,
    turns: Arc<Turns>,
    /// Bytes of versions that nobody holds.
    limit: Arc<AtomicU64>,
}

/// What lies in an input cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputCacheUsage {
    /// Versions that no run holds.
    pub idle: usize,
    /// Bytes of their files.
    pub idle_bytes: u64,
    /// Versions that were removed just now.
    pub removed: usize,
}

impl InputCache {
    /// A cache in this folder, which is made when it is needed. It keeps so many bytes that no run holds, fewer if the
    /// disk has less left.
    #[must_use]
    pub fn new(data: DataService, folder: PathBuf, limit_bytes: u64) -> Self {
        Self {
            data,
            shelf: Arc::new(Shelf::new(folder)),
            turns: Arc::default(),
            limit: Arc::new(AtomicU64::new(limit_bytes)),
        }
    }

    /// The folder of a version, read-only and whole, for a run: until [`Self::release`]. Done twice it does no harm;
    /// if the folder is there untouched, nothing is copied.
    ///
    /// # Errors
    /// As [`DataService::materialise`].
    pub async fn hold(&self, version: &VersionId, run: &RunId) -> Result<PathBuf, DataError> {
        let _turn = self.turns.of(&self.shelf.shared(version)).lock().await;
        match self.lay_out(version, run).await {
            Err(error) if error.meaning() == Meaning::StorageFull => {
                // What nobody reads stands in nobody's way.
                self.shrink(0).await?;
                self.lay_out(version, run).await
            }
            laid_out => laid_out,
        }
    }

    async fn lay_out(&self, version: &VersionId, run: &RunId) -> Result<PathBuf, DataError> {
        let (shared, own) = (self.shelf.shared(version), self.shelf.own(version, run));
        let (shelf, of) = (Arc::clone(&self.shelf), (version.clone(), run.clone()));
        let others_hold_it = blocking(move || shelf.hold(&of.0, &of.1)).await?;
        let is_spoiled =
            others_hold_it && shared.exists() && !self.data.is_untouched(version, &shared).await?;
        let folder = if own.exists() || is_spoiled { own } else { shared };
        self.data.materialise(version, &folder).await?;
        Ok(folder)
    }

    /// The run reads nothing any more.
    ///
    /// # Errors
    /// The folder of the cache could not be changed.
    pub async fn release(&self, run: &RunId) -> Result<(), DataError> {
        let (shelf, run) = (Arc::clone(&self.shelf), run.clone());
        blocking(move || shelf.release(&run)).await?;
        self.tidy().await.map(drop)
    }

    /// Removes what there is no room for, and what nobody has read for a day.
    ///
    /// # Errors
    /// The folder of the cache could not be changed.
    pub async fn tidy(&self) -> Result<InputCacheUsage, DataError> {
        self.shrink(self.limit.load(Ordering::Relaxed)).await
    }

    /// Keeps nothing from now on that no run holds.
    ///
    /// # Errors
    /// The folder of the cache could not be changed.
    pub async fn close(&self) -> Result<(), DataError> {
        self.limit.store(0, Ordering::Relaxed);
        self.tidy().await.map(drop)
    }

    /// Removes what was held longest ago until no more is left than this, and than the disk has left.
    async fn shrink(&self, limit: u64) -> Result<InputCacheUsage, DataError> {
        let shelf = Arc::clone(&self.shelf);
        let (idle, mut free) = blocking(move || Ok((shelf.idle()?, shelf.free_bytes()))).await?;
        let mut usage = InputCacheUsage {
            idle: idle.len(),
            idle_bytes: idle.iter().map(|one| one.bytes).sum(),
            removed: 0,
        };
        for one in idle {
            if usage.idle_bytes <= limit.min(free) && one.age < IDLE_MAX && limit > 0 {
                break;
            }
            if self.remove(&one.version).await? {
                usage.idle -= 1;
                usage.idle_bytes -= one.bytes;
                usage.removed += 1;
                free = free.saturating_add(one.bytes);
            }
        }
        Ok(usage)
    }

    /// Removes a version unless somebody holds it, or is about to.
    async fn remove(&self, version: &VersionId) -> Result<bool, DataError> {
        let folder = self.shelf.shared(version);
        // Whoever works on it now needs it. To wait for them, who may wait for this, would be to wait for ever.
        let Ok(_turn) = self.turns.of(&folder).try_lock() else {
            return Ok(false);
        };
        let (shelf, version) = (Arc::clone(&self.shelf), version.clone());
        blocking(move || shelf.remove(&version)).await
    }

    /// Starts the loop that tidies.
    pub fn spawn(&self, shutdown: &Shutdown, workers: &WorkerBoard) {
        let tidier = Arc::new(Tidier(self.clone()));
        corliss_reconcile::spawn(tidier, PERIOD, Wake::new(), shutdown.clone(), workers);
    }
}

struct Tidier(InputCache);

#[async_trait]
impl Reconciler for Tidier {
    fn name(&self) -> &'static str {
        "data.input_cache"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let usage = self.0.tidy().await?;
        Ok(Outcome::done(format!(
            "{} kept for later runs, {} bytes",
            counted(usage.idle, "input", "inputs"),
            usage.idle_bytes
        )))
    }
}

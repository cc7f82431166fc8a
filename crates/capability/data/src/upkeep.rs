//! The loops that keep the store small and sound, a collection each day and a scrub that never ends, and the start
//! of all loops of this room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{BlobError, ScrubOptions};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};

use crate::ports::InUse;
use crate::{CollectWish, DataError, DataService};

const COLLECT_PERIOD: Duration = Duration::from_hours(24);
/// A server that is restarted often does not collect each time.
const FIRST_COLLECTION: Duration = Duration::from_hours(1);
const SCRUB_PERIOD: Duration = Duration::from_hours(1);
/// About a gigabyte in each round: a terabyte is read once in six weeks.
const SCRUB_PACKS: u64 = 64;
const SCRUB_BYTES_PER_SECOND: u64 = 32 << 20;

/// Starts them, and the one that tells hooks what has happened.
pub fn spawn(service: &DataService, in_use: Arc<dyn InUse>, shutdown: &Shutdown, workers: &WorkerBoard) {
    let collector = Arc::new(Collector {
        service: service.clone(),
        in_use,
        has_waited: AtomicBool::new(false),
    });
    corliss_reconcile::spawn(collector, COLLECT_PERIOD, Wake::new(), shutdown.clone(), workers);
    let scrubber = Arc::new(Scrubber {
        service: service.clone(),
        found: AtomicU64::new(0),
    });
    corliss_reconcile::spawn(scrubber, SCRUB_PERIOD, Wake::new(), shutdown.clone(), workers);
    crate::courier::spawn(service, shutdown, workers);
}

struct Collector {
    service: DataService,
    in_use: Arc<dyn InUse>,
    has_waited: AtomicBool,
}

#[async_trait]
impl Reconciler for Collector {
    fn name(&self) -> &'static str {
        "data.collector"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        if !self.has_waited.swap(true, Ordering::SeqCst) {
            return Ok(Outcome::again_after(
                "the first collection is an hour after the start",
                FIRST_COLLECTION,
            ));
        }
        let wish = CollectWish::default();
        let collected = match self.service.collect(self.in_use.as_ref(), wish, &|_| {}).await {
            // Somebody collects or checks by hand.
            Err(DataError::Blob(BlobError::Busy)) => return Ok(Outcome::done("another one is under way")),
            collected => collected?,
        };
        Ok(Outcome::done(format!(
            "{} versions and {} pieces removed, {} bytes freed",
            collected.versions_removed + collected.versions_expired,
            collected.pieces_removed,
            collected.bytes_freed
        )))
    }
}

struct Scrubber {
    service: DataService,
    /// Since the start.
    found: AtomicU64,
}

#[async_trait]
impl Reconciler for Scrubber {
    fn name(&self) -> &'static str {
        "data.scrubber"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let options = ScrubOptions {
            bytes_per_second: SCRUB_BYTES_PER_SECOND,
            packs: SCRUB_PACKS,
        };
        let report = match self.service.scrub(options).await {
            Err(DataError::Blob(BlobError::Busy)) => {
                return Ok(Outcome::done("a collection or check is under way"));
            }
            report => report?,
        };
        let found = self.found.fetch_add(report.findings, Ordering::Relaxed) + report.findings;
        Ok(Outcome::done(match found {
            0 => format!("{} packs read, all sound", report.packs),
            found => format!("{found} findings since the start; `corliss data check` names the files"),
        }))
    }
}

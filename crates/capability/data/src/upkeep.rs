//! The loops that keep the store small and sound, a collection each day and a scrub that never ends, and the start
//! of all loops of this room.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{BlobError, ScrubOptions};
use corliss_keyring::KeyError;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use corliss_types::VersionId;

use crate::ports::InUse;
use crate::service::Scrub;
use crate::{CollectWish, DamagedVersion, DataError, DataService};

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
        repaired: AtomicU64::new(0),
        told: Mutex::default(),
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
            Err(DataError::Blob(BlobError::Key(KeyError::Destroyed(destroyed)))) => {
                return Ok(Outcome::done(destroyed.to_string()));
            }
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
    /// Pieces that were fetched from a remote since the start.
    repaired: AtomicU64,
    /// Versions of which it was logged that they are damaged.
    told: Mutex<BTreeSet<VersionId>>,
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
        let scrub = match self.service.scrub(options).await {
            Err(DataError::Blob(BlobError::Key(KeyError::Destroyed(destroyed)))) => {
                return Ok(Outcome::done(destroyed.to_string()));
            }
            scrub => scrub?,
        };
        self.log(&scrub);
        let mut line = match (scrub.damaged, scrub.report.findings) {
            (0, 0) => format!("{} packs read, all sound", scrub.report.packs),
            _ => damage(&scrub),
        };
        let repaired = match &scrub.repair {
            Some(Ok(repair)) => repair.pieces_repaired + repair.pieces_salvaged,
            _ => 0,
        };
        let repaired = self.repaired.fetch_add(repaired, Ordering::Relaxed) + repaired;
        if repaired > 0 {
            line = format!("{line}; {repaired} pieces repaired since the start");
        }
        Ok(Outcome::done(line))
    }
}

impl Scrubber {
    /// Each version once, until it is whole again; a repair that failed each time.
    fn log(&self, scrub: &Scrub) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for damaged in scrub.versions.iter().filter(|one| !told.contains(&one.version)) {
            let DamagedVersion {
                version,
                names,
                files_total,
                ..
            } = damaged;
            let paths: Vec<&str> = damaged.paths.iter().map(|path| path.path.as_str()).collect();
            tracing::warn!(%version, ?names, ?paths, files_total, "files of a version are damaged");
        }
        *told = scrub.versions.iter().map(|one| one.version.clone()).collect();
        match &scrub.repair {
            Some(Ok(repair)) => {
                let (remote, pieces) = (&repair.remote, repair.pieces_repaired + repair.pieces_salvaged);
                tracing::warn!(
                    remote,
                    pieces,
                    not_there = repair.not_there_total,
                    "damaged pieces were fetched"
                );
            }
            Some(Err(error)) => tracing::warn!(%error, "damaged pieces could not be fetched"),
            None => {}
        }
    }
}

/// One line for people: what is damaged, and what to do.
fn damage(scrub: &Scrub) -> String {
    let Some(first) = scrub.versions.first() else {
        return match scrub.damaged {
            0 => "damage was found and put right".to_owned(),
            pieces => format!("{pieces} damaged pieces, in no version; `corliss data check` tells more"),
        };
    };
    let version = first.version.as_str();
    let name = first.names.first().map_or(version, String::as_str);
    let path = first.paths.first().map_or("", |path| path.path.as_str());
    let others = match scrub.versions_total.saturating_sub(1) {
        0 => String::new(),
        others => format!(" and {others} more versions"),
    };
    let trouble = match &scrub.repair {
        Some(Err(error)) => format!(" (not repaired: {error})"),
        Some(Ok(repair)) if repair.not_there_total > 0 => format!(" ({} lacks it)", repair.remote),
        _ => String::new(),
    };
    format!("damaged: {name}: {path}{others}{trouble}; `corliss data check` names the files")
}

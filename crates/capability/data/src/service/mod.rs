//! The operations of the data capability, one file each.

mod browse;
mod commit;
mod diff;
mod exchange;
mod lineage;
mod log;
mod materialise;
mod merge;
mod operations;
mod pieces;
mod preview;
mod publish;
mod pull;
mod push;
mod read;
mod refs;
mod resolve;
mod upkeep;

pub(crate) use exchange::Mover;
pub(crate) use operations::{Kind, Operation, Start};

use std::sync::Arc;

use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_metastore::Metastore;
use tokio::sync::Semaphore;

use crate::tree::Reader;
use crate::{DataError, Limits, Remotes};

/// Datasets, their histories, versions and lineage; cheap to clone.
#[derive(Clone)]
pub struct DataService {
    store: Metastore,
    blobs: BlobStore,
    sources: Sources,
    limits: Limits,
    reader: Reader,
    turns: Arc<materialise::Turns>,
    bodies: Arc<Semaphore>,
    remotes: Remotes,
    operations: Arc<operations::Operations>,
}

impl DataService {
    /// A service over these stores; the metastore was opened with [`crate::MIGRATIONS`].
    #[must_use]
    pub fn new(store: Metastore, blobs: BlobStore, sources: Sources, limits: Limits) -> Self {
        Self {
            store,
            reader: Reader::new(blobs.clone()),
            blobs,
            sources,
            limits,
            turns: Arc::default(),
            bodies: Arc::new(Semaphore::new(pieces::BODIES)),
            remotes: Remotes::default(),
            operations: Arc::default(),
        }
    }

    /// The same, with these remotes to push to and pull from. To be called before the service is cloned.
    #[must_use]
    pub fn with_remotes(mut self, remotes: Remotes) -> Self {
        self.remotes = remotes;
        self
    }

    /// What is accepted.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }
}

pub use preview::Preview;
pub use upkeep::{CollectWish, Collected, DamagedFile, DataCheck, DataRepair, StorageUsage};

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DataError> + Send + 'static,
) -> Result<T, DataError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(DataError::Io {
            action: "finish work on",
            path: "a folder".to_owned(),
            message: error.to_string(),
        })
    })
}

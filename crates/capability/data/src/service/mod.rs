//! The operations of the data capability, one file each.

mod browse;
mod commit;
mod diff;
mod lineage;
mod log;
mod materialise;
mod merge;
mod pieces;
mod preview;
mod publish;
mod read;
mod refs;
mod resolve;
mod upkeep;

use std::sync::Arc;

use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_metastore::Metastore;
use tokio::sync::Semaphore;

use crate::tree::Reader;
use crate::{DataError, Limits};

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
        }
    }

    /// What is accepted.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }
}

pub use preview::Preview;
pub use upkeep::{CollectWish, Collected, DamagedFile, DataCheck, StorageUsage};

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

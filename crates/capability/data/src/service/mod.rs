//! The operations of the data capability, one file each.

mod browse;
mod commit;
mod diff;
mod exchange;
mod hooks;
mod import;
mod lent;
mod lineage;
mod linked;
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
mod seal;
mod transfers;
mod upkeep;

pub(crate) use exchange::Mover;
pub use import::ImportWish;
pub(crate) use lent::{LentFile, Passed};
pub(crate) use materialise::Turns;
pub(crate) use operations::{Kind, Operation};
pub(crate) use transfers::Start;

use std::sync::Arc;

use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_lend::Folders;
use corliss_metastore::{Metastore, Tx};
use corliss_reconcile::Wake;
use corliss_types::Timestamp;
use corliss_webhook::{Reach, WebhookClient};
use tokio::sync::Semaphore;

use crate::tree::Reader;
use crate::{DataError, ImportSources, Limits, Remotes};

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
    /// The remote from which the scrub fetches what it finds damaged.
    repair_from: Option<Arc<str>>,
    folders: Folders,
    imports: ImportSources,
    objects: Arc<Semaphore>,
    operations: Arc<operations::Operations>,
    /// What is linked, as it was summed up last.
    summed: Arc<upkeep::Summed>,
    webhooks: WebhookClient,
    hook_wake: Wake,
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
            repair_from: None,
            folders: Folders::default(),
            imports: ImportSources::default(),
            objects: Arc::new(Semaphore::new(import::TURNS)),
            operations: Arc::default(),
            summed: Arc::default(),
            webhooks: WebhookClient::new(Reach::default()),
            hook_wake: Wake::new(),
        }
    }

    /// The same, with these remotes to push to and pull from. To be called before the service is cloned.
    #[must_use]
    pub fn with_remotes(mut self, remotes: Remotes) -> Self {
        self.remotes = remotes;
        self
    }

    /// The same, with the folders that clients on this machine lend. To be called before the service is cloned.
    #[must_use]
    pub fn with_folders(mut self, folders: Folders) -> Self {
        self.folders = folders;
        self
    }

    /// The same, with hooks that reach as far as this client. To be called before the service is cloned.
    #[must_use]
    pub fn with_webhooks(mut self, webhooks: WebhookClient) -> Self {
        self.webhooks = webhooks;
        self
    }

    /// The same, with these sources to import from. To be called before the service is cloned.
    #[must_use]
    pub fn with_sources(mut self, sources: ImportSources) -> Self {
        self.imports = sources;
        self
    }

    /// Drops what is kept in memory of what was opened: the keys that it was sealed with were destroyed.
    pub fn forget_opened(&self) {
        self.reader.forget();
    }

    /// What is accepted.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The signal that hooks may have something to be told.
    pub(crate) fn hook_wake(&self) -> Wake {
        self.hook_wake.clone()
    }

    pub(crate) fn store(&self) -> &Metastore {
        &self.store
    }

    pub(crate) fn webhook_client(&self) -> &WebhookClient {
        &self.webhooks
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sources.clock.now()
    }

    /// A name that no other worker has.
    pub(crate) fn new_owner(&self) -> String {
        let digits = self.sources.id_seed().random;
        digits.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A transaction that moves names: whoever tells hooks of it looks at once.
    async fn write_refs<T, F>(&self, change: F) -> Result<T, DataError>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, DataError> + Send + 'static,
        T: Send + 'static,
    {
        let changed = self.store.write(change).await?;
        self.hook_wake.signal();
        Ok(changed)
    }
}

pub use preview::Preview;
pub(crate) use upkeep::Scrub;
pub use upkeep::{
    BrokenLink, CollectWish, Collected, DamagedPath, DamagedVersion, DataCheck, DataRepair, LinkCheck,
    LinkedUsage, StorageUsage, UnaskedSource,
};

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
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

//! How much is stored, and what storing things once saves.

use serde::Serialize;

use super::LinkedUsage;
use crate::store::{datasets, versions};
use crate::{DataError, DataService};

/// What all versions hold, and what that takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StorageUsage {
    /// Datasets.
    pub datasets: u64,
    /// Versions whose files are kept.
    pub versions: u64,
    /// Bytes of their files that are stored here, each version counted whole.
    pub versions_bytes: u64,
    /// Content that is stored, each piece once, before it is compressed; with what tracking and others keep.
    pub unique_bytes: u64,
    /// What lies on the disk or in the bucket.
    pub stored_bytes: u64,
    /// Packs.
    pub packs: u64,
    /// Pieces in them.
    pub pieces: u64,
    /// What versions link to in sources, which is not stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<LinkedUsage>,
    /// Pieces that are known as damaged, or to list what is: by the last check, and the scrubs since.
    pub damaged: u64,
}

impl DataService {
    /// How much is stored.
    ///
    /// # Errors
    /// A store failed.
    pub async fn storage(&self) -> Result<StorageUsage, DataError> {
        let usage = self.blobs.usage().await?;
        let ((versions, versions_bytes), datasets) = self
            .store
            .read(|tx| Ok::<_, DataError>((versions::totals(tx)?, datasets::total(tx)?)))
            .await?;
        Ok(StorageUsage {
            datasets,
            versions,
            versions_bytes,
            unique_bytes: usage.content_bytes,
            stored_bytes: usage.pack_bytes,
            packs: usage.packs,
            pieces: usage.chunks + usage.nodes + usage.records,
            linked: self.linked_usage().await?,
            damaged: self.blobs.known_damage().await?.len() as u64,
        })
    }
}

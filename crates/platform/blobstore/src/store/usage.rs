//! What the store holds and takes, from sums that the index keeps for each pack.

use std::sync::Arc;

use super::BlobStore;
use crate::{BlobError, blocking};

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Packs.
    pub packs: u64,
    /// What the packs take, with what of them is no longer needed.
    pub pack_bytes: u64,
    /// Chunks of content.
    pub chunks: u64,
    /// Nodes of large blobs.
    pub nodes: u64,
    /// Records.
    pub records: u64,
    /// Content of the chunks, before it is compressed.
    pub content_bytes: u64,
    /// What all pieces take, compressed and sealed.
    pub sealed_bytes: u64,
}

impl BlobStore {
    /// What the store holds and takes. Costs a moment for each ten thousand packs. A piece that two writers stored
    /// at the same time counts twice until a collection.
    ///
    /// # Errors
    /// The work was cut off: the store is stopping.
    pub async fn usage(&self) -> Result<Usage, BlobError> {
        let index = Arc::clone(&self.inner.index);
        let packs = blocking(move || Ok(index.numbered())).await?;
        let mut usage = Usage::default();
        for pack in packs.into_values() {
            usage.packs += 1;
            usage.pack_bytes += pack.bytes;
            usage.chunks += pack.sums.chunks;
            usage.nodes += pack.sums.nodes;
            usage.records += pack.sums.records;
            usage.content_bytes += pack.sums.content_bytes;
            usage.sealed_bytes += pack.sums.sealed_bytes;
        }
        Ok(usage)
    }
}

//! Blobs in a folder: `ab/ab…` (two hex digits, then the whole id), `tmp/` for what is on its way, `format`.
//!
//! Order of effects of a put: write a scratch file, sync it, rename it to its name, sync the folder. So a
//! name always stands for whole, synced bytes, whenever the machine stops.

mod layout;
mod place;
mod put;
mod read;
mod scratch;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    BlobError, BlobId, BlobInfo, BlobReader, BlobStore, Incoming, OpenFile, Placement, PutOptions, Stored,
};

use layout::Layout;

/// Blobs in a folder; cheap to clone.
#[derive(Debug, Clone)]
pub struct DiskStore {
    layout: Arc<Layout>,
}

impl DiskStore {
    /// Opens the folder, makes it if it is missing, and removes what an interrupted put left in it.
    ///
    /// # Errors
    /// The folder cannot be used, or a newer program has made it.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let root = root.into();
        blocking(move || Layout::open(root)).await.map(|layout| Self {
            layout: Arc::new(layout),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let layout = Arc::clone(&self.layout);
        blocking(move || work(&layout)).await
    }
}

/// File systems block, so every operation runs on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(BlobError::Io {
            action: "finish work on",
            path: "the blob folder".to_owned(),
            message: error.to_string(),
        })
    })
}

#[async_trait]
impl BlobStore for DiskStore {
    async fn put(&self, bytes: Incoming<'_>, options: PutOptions) -> Result<Stored, BlobError> {
        put::stream(&self.layout, bytes, options).await
    }

    async fn put_files(&self, files: Vec<OpenFile>) -> Result<Vec<Stored>, BlobError> {
        self.run(move |layout| put::files(layout, files)).await
    }

    async fn stat_all(&self, ids: Vec<BlobId>) -> Result<Vec<Option<BlobInfo>>, BlobError> {
        self.run(move |layout| ids.into_iter().map(|id| layout.stat(id)).collect())
            .await
    }

    async fn open(&self, id: BlobId, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        self.run(move |layout| read::open(layout, id, range)).await
    }

    async fn materialise(&self, files: Vec<Placement>) -> Result<(), BlobError> {
        self.run(move |layout| files.iter().try_for_each(|file| place::file(layout, file)))
            .await
    }

    async fn verify(&self, id: BlobId) -> Result<(), BlobError> {
        self.run(move |layout| read::verify(layout, id)).await
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobInfo>, BlobError> {
        self.run(move |layout| read::list(layout, after, limit)).await
    }
}

//! The twin in memory, for tests: the same promises, but for surviving.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::{Bound, Range};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::io::AsyncReadExt;

use crate::{
    BlobError, BlobId, BlobInfo, BlobReader, BlobStore, Incoming, OpenFile, Placement, PutOptions, Stored,
};

/// Blobs in memory; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    blobs: Arc<Mutex<BTreeMap<BlobId, Arc<[u8]>>>>,
}

impl MemoryStore {
    /// No blobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, Arc<[u8]>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, bytes: &[u8]) -> Stored {
        let id = BlobId::of(bytes);
        let created = self.lock().insert(id, bytes.into()).is_none();
        Stored {
            blob: BlobInfo {
                id,
                size_bytes: bytes.len() as u64,
            },
            created,
        }
    }

    fn bytes(&self, id: BlobId) -> Result<Arc<[u8]>, BlobError> {
        self.lock().get(&id).cloned().ok_or(BlobError::NotFound { id })
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn put(&self, incoming: Incoming<'_>, options: PutOptions) -> Result<Stored, BlobError> {
        let limit_bytes = options.limit_bytes.unwrap_or(u64::MAX - 1);
        let mut bytes = Vec::new();
        incoming
            .take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| BlobError::Incoming {
                message: error.to_string(),
            })?;
        if bytes.len() as u64 > limit_bytes {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        let got = BlobId::of(&bytes);
        if let Some(expected) = options.expected.filter(|expected| *expected != got) {
            return Err(BlobError::DigestMismatch { expected, got });
        }
        Ok(self.keep(&bytes))
    }

    async fn put_files(&self, files: Vec<OpenFile>) -> Result<Vec<Stored>, BlobError> {
        let mut stored = Vec::with_capacity(files.len());
        for open in files {
            let mut bytes = Vec::new();
            open()
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .map_err(|error| BlobError::io("read", "a file to be stored", &error))?;
            stored.push(self.keep(&bytes));
        }
        Ok(stored)
    }

    async fn stat_all(&self, ids: Vec<BlobId>) -> Result<Vec<Option<BlobInfo>>, BlobError> {
        let blobs = self.lock();
        let stat = |id| {
            blobs.get(&id).map(|bytes| BlobInfo {
                id,
                size_bytes: bytes.len() as u64,
            })
        };
        Ok(ids.into_iter().map(stat).collect())
    }

    async fn open(&self, id: BlobId, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        let bytes = self.bytes(id)?;
        let size_bytes = bytes.len() as u64;
        let range = range.unwrap_or(0..size_bytes);
        let part = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok())
            .and_then(|(start, end)| bytes.get(start..end))
            .ok_or(BlobError::Range {
                start: range.start,
                end: range.end,
                size_bytes,
            })?
            .to_vec();
        let len = part.len() as u64;
        Ok(BlobReader {
            bytes: Box::new(std::io::Cursor::new(part)),
            len,
            size_bytes,
        })
    }

    async fn materialise(&self, files: Vec<Placement>) -> Result<(), BlobError> {
        for file in files {
            let bytes = self.bytes(file.id)?;
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(if file.executable { 0o555 } else { 0o444 })
                .open(&file.path)
                .and_then(|mut target| target.write_all(&bytes))
                .map_err(|error| BlobError::io("write", &file.path.display().to_string(), &error))?;
        }
        Ok(())
    }

    async fn verify(&self, id: BlobId) -> Result<(), BlobError> {
        if BlobId::of(&self.bytes(id)?) == id {
            Ok(())
        } else {
            Err(BlobError::Damaged { id })
        }
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobInfo>, BlobError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let blobs = self.lock();
        let page = blobs.range((from, Bound::Unbounded)).take(limit);
        Ok(page
            .map(|(id, bytes)| BlobInfo {
                id: *id,
                size_bytes: bytes.len() as u64,
            })
            .collect())
    }
}

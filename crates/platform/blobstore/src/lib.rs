//! Immutable bytes, named by their BLAKE3 digest and stored once.
//!
//! The port is [`BlobStore`]; [`DiskStore`] keeps blobs in a folder, [`MemoryStore`] is its twin for tests.
//!
//! Invariants:
//! - An id names the same bytes forever; what is stored is what was hashed.
//! - A put answers only after the blob would survive a power cut.
//! - A put that is cut short leaves nothing that can be read; its scratch file goes with the next start.
//! - Nothing outside shares storage with a blob that it could change: see [`BlobStore::materialise`].

mod disk;
mod error;
mod id;
mod memory;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use tokio::io::AsyncRead;

pub use disk::DiskStore;
pub use error::BlobError;
pub use id::{BlobId, Hasher};
pub use memory::MemoryStore;

/// A stored blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobInfo {
    /// Its digest.
    pub id: BlobId,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The blob.
    pub blob: BlobInfo,
    /// Whether it was not there before.
    pub created: bool,
}

/// Bytes to be stored, as they arrive.
pub type Incoming<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// Opens a local file to be stored. A closure, so that a thousand files are not open at once, and so that the
/// caller decides how a path is resolved.
pub type OpenFile = Box<dyn FnOnce() -> io::Result<File> + Send>;

/// What a put is held to.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutOptions {
    /// The digest that the bytes must have.
    pub expected: Option<BlobId>,
    /// The most bytes that are accepted.
    pub limit_bytes: Option<u64>,
}

/// A blob being read.
pub struct BlobReader {
    /// The bytes of the range asked for.
    pub bytes: Box<dyn AsyncRead + Send + Unpin>,
    /// How many of them there are.
    pub len: u64,
    /// The length of the whole blob.
    pub size_bytes: u64,
}

/// Content-addressed storage.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores a stream. Durable when this returns; storing the same bytes again is cheap and changes nothing.
    async fn put(&self, bytes: Incoming<'_>, options: PutOptions) -> Result<Stored, BlobError>;

    /// Stores local files, in order, with as few syncs as a batch allows. Durable when this returns; if one
    /// fails, those before it may be stored.
    async fn put_files(&self, files: Vec<OpenFile>) -> Result<Vec<Stored>, BlobError>;

    /// The sizes of blobs, in the order of the ids; None for one that is not stored.
    async fn stat_all(&self, ids: Vec<BlobId>) -> Result<Vec<Option<BlobInfo>>, BlobError>;

    /// The blob's size; None if it is not stored.
    async fn stat(&self, id: BlobId) -> Result<Option<BlobInfo>, BlobError> {
        Ok(self.stat_all(vec![id]).await?.pop().flatten())
    }

    /// Those of the ids that are not stored, in the order given.
    async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, BlobError> {
        let found = self.stat_all(ids.clone()).await?;
        Ok(ids
            .into_iter()
            .zip(found)
            .filter(|(_, blob)| blob.is_none())
            .map(|(id, _)| id)
            .collect())
    }

    /// Opens a blob, or the given range of its bytes.
    async fn open(&self, id: BlobId, range: Option<Range<u64>>) -> Result<BlobReader, BlobError>;

    /// Lays blobs out as new read-only files (mode 0444, or 0555 where executable). Each path must not exist.
    ///
    /// The files never share storage that a write could reach: they are reflinks where the file system has
    /// them and copies elsewhere. Hard links were rejected: steps may run as root, whom no mode stops, and
    /// one careless `open(…, "r+")` through a link would change the blob under every version that holds it.
    async fn materialise(&self, files: Vec<Placement>) -> Result<(), BlobError>;

    /// Reads the whole blob and compares it with its digest.
    async fn verify(&self, id: BlobId) -> Result<(), BlobError>;

    /// Up to `limit` blobs in order of their ids, from after `after` on.
    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobInfo>, BlobError>;
}

/// One file for [`BlobStore::materialise`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The bytes.
    pub id: BlobId,
    /// Where they go; the folder exists.
    pub path: Box<Path>,
    /// Whether the file may be executed.
    pub executable: bool,
}

/// Reads a blob that is known to be small into memory.
///
/// # Errors
/// As [`BlobStore::open`]; also if the blob is larger than `limit_bytes`.
pub async fn read_all(store: &dyn BlobStore, id: BlobId, limit_bytes: u64) -> Result<Vec<u8>, BlobError> {
    let mut reader = store.open(id, None).await?;
    if reader.size_bytes > limit_bytes {
        return Err(BlobError::TooLarge { limit_bytes });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(reader.size_bytes).unwrap_or(0));
    tokio::io::AsyncReadExt::read_to_end(&mut reader.bytes, &mut bytes)
        .await
        .map_err(|error| BlobError::io("read", &id.to_string(), &error))?;
    Ok(bytes)
}

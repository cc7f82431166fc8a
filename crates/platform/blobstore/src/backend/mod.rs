//! Where packs and keys lie: whole objects by name, put once and read in ranges.

mod disk;
mod memory;

use std::ops::Range;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::BlobError;

pub use disk::DiskBackend;
pub use memory::MemoryBackend;

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// Storage for objects. Names are made by this crate: parts of `a-z`, `0-9` and `-`, joined by `/`.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Where it is, for messages.
    fn place(&self) -> String;

    /// Stores an object, the parts one after another; an object of this name is replaced. Whole and durable
    /// when this returns, and not to be seen before.
    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError>;

    /// The whole of a small object; None if there is none.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError>;

    /// Ranges of an object, in the order asked for, each in memory of its own; None if there is no such object
    /// or it is too short for one of them, empty ones too.
    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError>;

    /// All objects whose names begin with `folder/`, in no order.
    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError>;

    /// Removes an object; that there is none is fine. Durable when this returns. What is being read may still
    /// be read to its end or turn out to be gone.
    async fn remove(&self, name: &str) -> Result<(), BlobError>;
}

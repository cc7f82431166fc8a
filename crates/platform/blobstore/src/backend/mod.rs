//! Where packs and keys lie: whole objects by name, put once and read in ranges.

mod bucket;
mod cached;
mod disk;
mod memory;
mod name_locks;

use std::ops::Range;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::BlobError;

pub use bucket::{
    BucketBackend, BucketCredentials, BucketLimits, BucketReader, BucketSettings, ForeignList, ForeignObject,
    Secret,
};
pub use cached::{CacheStats, CachedBackend};
pub use disk::DiskBackend;
pub use memory::MemoryBackend;

/// What `format` says where objects outlive the process. Raise when the layout changes; a newer one is refused.
const FORMAT: &str = "corliss-blobs 3";

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

    /// Replaces a small object, if it still is what was expected: these bytes, or not there. Of those who try at
    /// once with one expectation, also from other processes and machines, one is answered `true`; whoever is
    /// answered `false` has changed nothing. Not ordered with [`Self::put`] of the same name.
    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError>;

    /// The whole of a small object; None if there is none.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError>;

    /// Ranges of an object, in the order asked for, each in memory of its own; None if there is no such object
    /// or it is too short for one of them, empty ones too.
    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError>;

    /// As [`Self::read`], of what will hardly be asked for again: nothing is kept of it to answer faster.
    async fn peek(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.read(name, ranges).await
    }

    /// What was read of the object turned out to be damaged: a copy that is kept to answer faster is dropped.
    /// Answers whether there was one, so that reading again may help.
    async fn distrust(&self, _name: &str) -> bool {
        false
    }

    /// The object's length; None if there is none. Unlike a list, never behind.
    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError>;

    /// All objects whose names begin with `folder/`, in no order. Of a remote service it may be a little
    /// behind: without what was just put, with what was just removed.
    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError>;

    /// Makes objects durable that are there and whose put failed, or was cut off: by itself one of them may still be
    /// gone after a power cut. Where nothing is to be seen before it is durable there is nothing to do.
    async fn make_durable(&self, _names: Vec<String>) -> Result<(), BlobError> {
        Ok(())
    }

    /// Removes an object; that there is none is fine. Durable when this returns. What is being read may still
    /// be read to its end or turn out to be gone.
    async fn remove(&self, name: &str) -> Result<(), BlobError>;
}

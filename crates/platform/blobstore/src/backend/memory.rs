//! The twin in memory, for tests: the same promises, but for surviving.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{Backend, Object};
use crate::BlobError;

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryBackend {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        let mut whole = BytesMut::new();
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        self.lock().insert(name.to_owned(), whole.freeze());
        Ok(())
    }

    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        let mut objects = self.lock();
        if objects.get(name).map(Bytes::as_ref) != expected {
            return Ok(false);
        }
        objects.insert(name.to_owned(), new);
        Ok(true)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        Ok(self.lock().get(name).cloned())
    }

    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        let Some(object) = self.lock().get(name).cloned() else {
            return Ok(None);
        };
        let part = |range: Range<u64>| {
            let (start, end) = (
                usize::try_from(range.start).ok()?,
                usize::try_from(range.end).ok()?,
            );
            object.get(start..end).map(BytesMut::from)
        };
        Ok(ranges.into_iter().map(part).collect())
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        Ok(self.lock().get(name).map(|bytes| bytes.len() as u64))
    }

    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        let prefix = format!("{folder}/");
        let objects = self.lock();
        let within = objects.iter().filter(|(name, _)| name.starts_with(&prefix));
        Ok(within
            .map(|(name, bytes)| Object {
                name: name.clone(),
                size_bytes: bytes.len() as u64,
            })
            .collect())
    }

    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        self.lock().remove(name);
        Ok(())
    }
}

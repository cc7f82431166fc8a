//! Tracking over a store of the test's choice, with artifact bytes in memory.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use corliss_clock::Sources;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::Metastore;
use corliss_tracking::{ArtifactBytes, ByteStream, ExperimentTraces, Kept, PortError, StoredBytes, Tracking};
use futures_util::{StreamExt, stream};

/// Bytes in memory, named by their order; content addressing is the real store's affair.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Memory {
    /// How many streams were stored.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Bytes that broke off on their way.
#[derive(Debug, thiserror::Error)]
#[error("the bytes broke off")]
struct Broken(#[source] std::io::Error);

impl Diagnose for Broken {
    fn code(&self) -> &'static str {
        "broken_off"
    }

    fn meaning(&self) -> Meaning {
        Meaning::Unavailable
    }
}

#[async_trait]
impl ArtifactBytes for Memory {
    async fn put(&self, mut bytes: ByteStream) -> Result<StoredBytes, PortError> {
        let mut all = Vec::new();
        while let Some(chunk) = bytes.next().await {
            all.extend_from_slice(&chunk.map_err(|error| PortError::of(&Broken(error)))?);
        }
        let mut blobs = self.0.lock().unwrap();
        let blob = format!("b{}", blobs.len());
        let size_bytes = all.len() as u64;
        blobs.insert(blob.clone(), all);
        let kept = Kept::always();
        Ok(StoredBytes {
            blob,
            size_bytes,
            kept,
        })
    }

    async fn open(&self, blob: &str) -> Result<ByteStream, PortError> {
        Ok(bytes_of(self.0.lock().unwrap()[blob].clone()))
    }

    async fn open_range(&self, blob: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        let all = self.0.lock().unwrap()[blob].clone();
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        Ok(bytes_of(all[range].to_vec()))
    }
}

/// Each experiment has so many traces.
pub struct TracesEach(pub u64);

#[async_trait]
impl ExperimentTraces for TracesEach {
    async fn count(&self, experiment_ids: Vec<i64>) -> Result<u64, PortError> {
        Ok(experiment_ids.len() as u64 * self.0)
    }
}

pub fn body(text: &str) -> ByteStream {
    bytes_of(text.to_owned().into_bytes())
}

pub fn bytes_of(bytes: Vec<u8>) -> ByteStream {
    Box::pin(stream::iter([Ok(Bytes::from(bytes))]))
}

pub async fn text(mut bytes: ByteStream) -> String {
    let mut all = Vec::new();
    while let Some(chunk) = bytes.next().await {
        all.extend_from_slice(&chunk.unwrap());
    }
    String::from_utf8(all).unwrap()
}

pub async fn tracking_with(store: Metastore, memory: Memory) -> Tracking {
    Tracking::open(store, Sources::system(), Arc::new(memory))
        .await
        .unwrap()
}

pub async fn tracking_on(store: Metastore) -> Tracking {
    tracking_with(store, Memory::default()).await
}

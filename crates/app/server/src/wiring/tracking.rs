//! Artifacts of tracking are blobs, and its experiments have traces.

use std::ops::Range;

use async_trait::async_trait;
use corliss_blobstore::BlobStore;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::Metastore;
use corliss_tracking::{ArtifactBytes, ByteStream, ExperimentTraces, Kept, PortError, StoredBytes};
use futures_util::TryStreamExt;
use tokio_util::io::{ReaderStream, StreamReader};

/// Bytes that are handed on at once.
const READ_BYTES: usize = 256 * 1024;

/// Artifact bytes over the blob store.
pub struct ArtifactBlobs(pub BlobStore);

/// What the tracking room kept as a blob's id is not one.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not the id of a blob")]
pub struct NotABlob(pub String);

impl Diagnose for NotABlob {
    fn code(&self) -> &'static str {
        "blob_id"
    }
    fn meaning(&self) -> Meaning {
        Meaning::Internal
    }
}

#[async_trait]
impl ArtifactBytes for ArtifactBlobs {
    async fn put(&self, bytes: ByteStream) -> Result<StoredBytes, PortError> {
        let kept = self.0.hold();
        let mut reader = StreamReader::new(bytes.map_err(std::io::Error::other));
        let stored = self
            .0
            .put(&mut reader, None)
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(StoredBytes {
            blob: stored.blob.id.to_string(),
            size_bytes: stored.blob.size_bytes,
            kept: Kept::by(kept),
        })
    }

    async fn open(&self, blob: &str) -> Result<ByteStream, PortError> {
        self.read(blob, None).await
    }

    async fn open_range(&self, blob: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        self.read(blob, Some(range)).await
    }
}

impl ArtifactBlobs {
    async fn read(&self, blob: &str, range: Option<Range<u64>>) -> Result<ByteStream, PortError> {
        let id = blob
            .parse()
            .map_err(|_| PortError::of(&NotABlob(blob.to_owned())))?;
        let reader = self
            .0
            .open(id, range)
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(Box::pin(ReaderStream::with_capacity(reader.bytes, READ_BYTES)))
    }
}

/// Traces that lie in the same store.
pub struct StoredTraces(pub Metastore);

#[async_trait]
impl ExperimentTraces for StoredTraces {
    async fn count(&self, experiment_ids: Vec<i64>) -> Result<u64, PortError> {
        corliss_traces::count_traces(&self.0, experiment_ids)
            .await
            .map_err(|error| PortError::of(&error))
    }
}

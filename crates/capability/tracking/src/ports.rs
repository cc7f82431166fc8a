//! What tracking asks of others: somewhere to put the bytes of artifacts.

use std::io;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
pub use corliss_diagnostics::PortError;
use futures_util::Stream;

/// Bytes as they arrive or leave.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Bytes that were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBytes {
    /// What they are read back by: the id that their content gives them.
    pub blob: String,
    /// How many there are.
    pub size_bytes: u64,
}

/// Content-addressed bytes.
#[async_trait]
pub trait ArtifactBytes: Send + Sync {
    /// Stores a stream; durable when this returns. The same bytes are stored once.
    async fn put(&self, bytes: ByteStream) -> Result<StoredBytes, PortError>;

    /// Reads a blob from its beginning.
    async fn open(&self, blob: &str) -> Result<ByteStream, PortError>;
}

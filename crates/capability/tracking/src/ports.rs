//! What tracking asks of others: somewhere to put the bytes of artifacts, and what goes with an experiment elsewhere.

use std::any::Any;
use std::io;
use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
pub use corliss_diagnostics::PortError;
use futures_util::Stream;

/// Bytes as they arrive or leave.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Keeps stored bytes from being collected before something refers to them: as long as this lives, they stay.
pub struct Kept(
    #[expect(dead_code, reason = "it is there to be dropped")] Option<Box<dyn Any + Send + Sync>>,
);

impl Kept {
    /// By whatever the store gives for that.
    pub fn by(guard: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// By a store that removes nothing.
    #[must_use]
    pub const fn always() -> Self {
        Self(None)
    }
}

/// Bytes that were stored.
pub struct StoredBytes {
    /// What they are read back by: the id that their content gives them.
    pub blob: String,
    /// How many there are.
    pub size_bytes: u64,
    /// They stay until this is dropped, and as long as something refers to them.
    pub kept: Kept,
}

/// Content-addressed bytes.
#[async_trait]
pub trait ArtifactBytes: Send + Sync {
    /// Stores a stream; durable when this returns. The same bytes are stored once.
    async fn put(&self, bytes: ByteStream) -> Result<StoredBytes, PortError>;

    /// Reads a blob from its beginning.
    async fn open(&self, blob: &str) -> Result<ByteStream, PortError>;

    /// Reads these bytes of a blob, which has them.
    async fn open_range(&self, blob: &str, range: Range<u64>) -> Result<ByteStream, PortError>;
}

/// The traces of experiments, which are kept elsewhere.
#[async_trait]
pub trait ExperimentTraces: Send + Sync {
    /// How many traces these experiments have.
    async fn count(&self, experiment_ids: Vec<i64>) -> Result<u64, PortError>;
}

/// There are no traces.
pub(crate) struct NoTraces;

#[async_trait]
impl ExperimentTraces for NoTraces {
    async fn count(&self, _: Vec<i64>) -> Result<u64, PortError> {
        Ok(0)
    }
}

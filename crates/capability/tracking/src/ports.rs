//! What tracking asks of others: somewhere to put the bytes of artifacts.

use std::io;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_diagnostics::{Diagnose, ErrorReport, Meaning};
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

/// An error of what stands behind a port, carried as it was.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", report.message)]
pub struct PortError {
    code: &'static str,
    meaning: Meaning,
    report: Box<ErrorReport>,
}

impl PortError {
    /// Carries any error.
    #[must_use]
    pub fn of(error: &dyn Diagnose) -> Self {
        Self {
            code: error.code(),
            meaning: error.meaning(),
            report: Box::new(ErrorReport::of(error)),
        }
    }
}

impl Diagnose for PortError {
    fn code(&self) -> &'static str {
        self.code
    }

    fn meaning(&self) -> Meaning {
        self.meaning
    }

    fn retryable(&self) -> bool {
        self.report.retryable
    }

    fn field(&self) -> Option<String> {
        self.report.field.clone()
    }

    fn hint(&self) -> Option<String> {
        self.report.hint.clone()
    }
}

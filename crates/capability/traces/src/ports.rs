//! What traces ask of others: which experiments and runs there are, and the files that clients keep beside traces.

use std::io;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
pub use corliss_diagnostics::PortError;
use futures_util::Stream;

/// What a trace needs to know of its experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentState {
    /// It takes new traces; a deleted one does not.
    pub active: bool,
    /// URI under which its artifacts lie.
    pub artifact_location: String,
}

/// The experiments that traces belong to.
#[async_trait]
pub trait Experiments: Send + Sync {
    /// An experiment, active or deleted; none if there is none of this number.
    async fn experiment(&self, id: i64) -> Result<Option<ExperimentState>, PortError>;
}

/// The runs that traces are linked to.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Whether there is a run of this id, active or deleted.
    async fn exists(&self, run_id: &str) -> Result<bool, PortError>;
}

/// Bytes as they leave.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The files of traces: attachments of spans, and spans of clients that keep them in a file.
#[async_trait]
pub trait Files: Send + Sync {
    /// Opens the file at this URI: its size in bytes, and they; none if there is none.
    async fn open(&self, uri: &str) -> Result<Option<(u64, ByteStream)>, PortError>;

    /// Removes these folders by their URIs, with all in them. What is not there is removed already.
    async fn remove(&self, folders: Vec<String>) -> Result<(), PortError>;
}

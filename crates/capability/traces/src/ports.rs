//! What traces ask of others: which experiments and runs there are.

use async_trait::async_trait;
pub use corliss_diagnostics::PortError;

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

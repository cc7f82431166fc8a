//! What the registry asks of others: what a version of data holds, what a client means by a source, and
//! someone who keeps lineage.

use async_trait::async_trait;
pub use corliss_diagnostics::PortError;
use corliss_types::{Flavor, VersionId};

use crate::ModelVersion;

/// A source as a client of MLflow writes it. It is a name to look up, never a path to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSource {
    /// Such as `mlflow-artifacts:/0/<run>/artifacts/model` or `models:/m-<id>`.
    pub source: String,
    /// The tracking run that the client says made it.
    pub run_id: Option<String>,
    /// The logged model that the client says it is.
    pub model_id: Option<String>,
}

/// A source made immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The files at this moment.
    pub version: VersionId,
    /// What can serve them.
    pub flavor: Flavor,
    /// Where clients can download them.
    pub artifact_uri: String,
    /// The tracking run that made them, if known.
    pub run_id: Option<String>,
}

/// Sources of model versions.
#[async_trait]
pub trait ModelSources: Send + Sync {
    /// What can serve this version of data; none if there is no such version.
    async fn flavor_of(&self, version: &VersionId) -> Result<Option<Flavor>, PortError>;

    /// Makes an immutable version of what the source names; none if it names nothing that is kept here, or
    /// something outside the run or logged model that it is said to come from.
    async fn pin(&self, source: &ForeignSource) -> Result<Option<Pinned>, PortError>;
}

/// Keeps where models come from. Must be idempotent: a registration repeated after a crash records again.
#[async_trait]
pub trait Lineage: Send + Sync {
    /// Records that this version was made from its source, by its run, from its data and code.
    async fn registered(&self, version: &ModelVersion) -> Result<(), PortError>;
}

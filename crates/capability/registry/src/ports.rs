//! What the registry asks of others: what a version of data holds, what a client means by a source, someone who keeps
//! lineage, and someone who seals secrets.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
pub use corliss_diagnostics::PortError;
use corliss_types::{Flavor, VersionId};
pub use corliss_webhook::SealedSecret;
use corliss_webhook::Secret;
use futures_util::Stream;

use crate::ModelVersion;

/// Bytes as they leave.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// All that the registry asks of others.
#[derive(Clone)]
pub struct Ports {
    /// Sources of model versions.
    pub sources: Arc<dyn ModelSources>,
    /// Lineage.
    pub lineage: Arc<dyn Lineage>,
    /// What seals the secrets of webhooks.
    pub sealer: Arc<dyn Sealer>,
}

/// A source as a client of MLflow writes it. It is a name to look up, never a path to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSource {
    /// Such as `mlflow-artifacts:/0/<run>/artifacts/model`, `runs:/<run>/model` or `models:/m-<id>`.
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
    /// Where clients can download them: the source itself, unless it is the name of a logged model.
    pub artifact_uri: String,
    /// The tracking run that made them, if known.
    pub run_id: Option<String>,
}

/// A file being read.
pub struct FileRead {
    /// How many bytes follow.
    pub size_bytes: u64,
    /// The bytes.
    pub bytes: ByteStream,
}

/// A file of a version of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path within the version.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
}

/// Sources of model versions.
#[async_trait]
pub trait ModelSources: Send + Sync {
    /// What can serve this version of data; none if there is no such version.
    async fn flavor_of(&self, version: &VersionId) -> Result<Option<Flavor>, PortError>;

    /// Makes an immutable version of what the source names; none if it names nothing that is kept here, or
    /// something outside the run or logged model that it is said to come from.
    async fn pin(&self, source: &ForeignSource) -> Result<Option<Pinned>, PortError>;

    /// The files of a version of data in order of their paths, at most `limit`; none if there is no such version.
    async fn files(&self, version: &VersionId, limit: usize) -> Result<Option<Vec<SourceFile>>, PortError>;

    /// These bytes of a file of a version of data; none if it has no file at this path.
    async fn read(
        &self,
        version: &VersionId,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, PortError>;

    /// Opens a file of a version of data; none if it has no file at this path.
    async fn open(&self, version: &VersionId, path: &str) -> Result<Option<FileRead>, PortError>;
}

/// Keeps secrets from whoever reads the database. A sealed secret opens for the context it was sealed for.
#[async_trait]
pub trait Sealer: Send + Sync {
    /// Seals a secret.
    async fn seal(&self, context: &str, secret: &Secret) -> Result<SealedSecret, PortError>;

    /// Opens a sealed secret.
    fn open(&self, context: &str, sealed: &SealedSecret) -> Result<Secret, PortError>;
}

/// Keeps where models come from. Must be idempotent: a registration repeated after a crash records again.
#[async_trait]
pub trait Lineage: Send + Sync {
    /// Records that this version was made from its source, by its run, from its data and code.
    async fn registered(&self, version: &ModelVersion) -> Result<(), PortError>;
}

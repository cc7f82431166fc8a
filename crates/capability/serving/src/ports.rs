//! What serving needs of other rooms; the server wires them.

use std::path::PathBuf;

use async_trait::async_trait;
pub use corliss_diagnostics::PortError;
use corliss_policy_serving::release::Counts;
use corliss_types::{JobId, ModelName, ReplicaId, Resources, VersionId};
use zeroize::Zeroizing;

use crate::types::Copies;

/// A model version that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedModel {
    /// The registered model.
    pub model: ModelName,
    /// Its version.
    pub version: u32,
    /// Its files.
    pub files: VersionId,
}

/// Finds registered models and their files.
#[async_trait]
pub trait ModelResolver: Send + Sync {
    /// What `NAME@ALIAS` or `NAME/VERSION` means now.
    async fn resolve(&self, reference: &str) -> Result<DeployedModel, PortError>;
    /// Whether this may be served: it is whole, approved where that is demanded, and no pickle lies beside it unless that is allowed.
    async fn clear(&self, model: &DeployedModel, allow_pickle: bool) -> Result<(), PortError>;
    /// A read-only folder with these files; made at most once.
    async fn materialise(&self, files: &VersionId) -> Result<PathBuf, PortError>;
}

/// A replica as a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaJob {
    /// Also the key under which it is submitted once.
    pub replica: ReplicaId,
    /// For people.
    pub name: String,
    /// The endpoint that what it holds is accounted to.
    pub endpoint: String,
    /// Arguments of this program: `engine …`.
    pub arguments: Vec<String>,
    /// What it holds.
    pub resources: Resources,
}

/// How far a replica's job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaJobState {
    /// It waits, for this reason.
    Queued(String),
    /// Its process runs or is about to.
    Running,
    /// It has ended, for this reason.
    Ended(String),
    /// It was ended through no fault of its own, for this reason.
    Interrupted(String),
}

/// Runs replicas.
#[async_trait]
pub trait ReplicaJobs: Send + Sync {
    /// Submits it; the same replica again answers the same job.
    async fn submit(&self, job: ReplicaJob) -> Result<JobId, PortError>;
    /// How far it is. A job that nobody knows any more has ended.
    async fn observe(&self, job: &JobId) -> Result<ReplicaJobState, PortError>;
    /// Asks it to end, as failed if there is a reason for that; asking again is harmless.
    async fn stop(&self, job: &JobId, failure: Option<&str>) -> Result<(), PortError>;
}

/// What an endpoint was told to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The endpoint.
    pub endpoint: String,
    /// `NAME@ALIAS` or `NAME/VERSION`.
    pub reference: String,
    /// The model that this meant.
    pub model: ModelName,
    /// Its version.
    pub version: u32,
    /// Who told it; none where the endpoint followed an alias.
    pub by: Option<String>,
    /// Whether pickles were allowed.
    pub allow_pickle: bool,
    /// The same order again has the same key.
    pub key: String,
}

/// What a version did with its requests since the server started or the version became known: counters that rise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// Requests, copies included.
    pub counts: Counts,
    /// What became of copies.
    pub copies: Copies,
}

/// Counts requests.
pub trait Traffic: Send + Sync {
    /// What this version of an endpoint did.
    fn done(&self, endpoint: &str, version: u32) -> Done;
    /// Requests of an endpoint that ended since the server started.
    fn requests(&self, endpoint: &str) -> u64;
    /// Its replicas whose last request failed by their own fault, and how.
    fn troubles(&self, endpoint: &str) -> Vec<(ReplicaId, String)>;
}

/// Remembers what was deployed where.
#[async_trait]
pub trait Lineage: Send + Sync {
    /// An endpoint was told to serve something; saying it again is harmless.
    async fn ordered(&self, order: Order) -> Result<(), PortError>;
    /// The endpoint serves this version; saying it again is harmless.
    async fn deployed(&self, endpoint: &str, model: &ModelName, version: u32) -> Result<(), PortError>;
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Which key opens it.
    pub key: u32,
    /// What it is when it is sealed.
    pub bytes: Vec<u8>,
}

/// A key in the clear; wiped from memory when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenKey(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenKey")
    }
}

/// Keeps keys from whoever reads the database. A sealed key opens for the context it was sealed for.
#[async_trait]
pub trait Sealer: Send + Sync {
    /// Seals a key.
    async fn seal(&self, context: &str, key: &[u8]) -> Result<SealedKey, PortError>;
    /// Opens a sealed key.
    fn open(&self, context: &str, sealed: &SealedKey) -> Result<OpenKey, PortError>;
}

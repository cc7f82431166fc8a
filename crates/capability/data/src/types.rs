//! What the service answers.

use corliss_types::{DatasetName, Timestamp, VersionId};
use serde::Serialize;

/// A version that is now recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Committed {
    /// The version.
    pub version: VersionId,
    /// The dataset whose name points at it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetName>,
    /// Whether the name was moved (with a dataset), or the version was new (without).
    pub created: bool,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// A dataset in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetSummary {
    /// Its name.
    pub name: DatasetName,
    /// Where the name points.
    pub latest: VersionId,
    /// How often it was moved.
    pub versions: u64,
    /// Bytes of the latest version.
    pub size_bytes: u64,
    /// Files of the latest version.
    pub files: u64,
    /// When the name was last moved.
    pub updated_ms: Timestamp,
}

/// One move of a dataset's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetVersion {
    /// Where it was moved to.
    pub version: VersionId,
    /// When.
    pub created_ms: Timestamp,
    /// Why, in the words of whoever did it.
    pub message: String,
    /// Bytes of the version.
    pub size_bytes: u64,
    /// Files of the version.
    pub files: u64,
}

/// A dataset with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: DatasetSummary,
    /// The moves of its name, newest first; at most the thousand newest.
    pub history: Vec<DatasetVersion>,
}

/// A version without its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionSummary {
    /// The version.
    pub version: VersionId,
    /// When it was first recorded.
    pub created_ms: Timestamp,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Datasets whose names point or pointed at it.
    pub names: Vec<DatasetName>,
}

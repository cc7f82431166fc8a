//! The files of a version as a tree of records, so that versions that differ little share almost all of it.
//!
//! Leaves list files in byte order of their paths; branches list leaves, or branches of the level below. Where
//! a record ends is decided by the path at its end and by nothing before it (a "prolly tree", as in Dolt and
//! Noms), so that the same files are the same tree whatever was done to get there, and a change touches only the
//! records on its way to the root: a commit costs what it changes, and two versions are compared by walking
//! only where their records differ.
//!
//! A version is the id of the record at the root. Empty folders, owners, times and other modes are not part of
//! it: they differ between machines without the data being different.

mod build;
mod check;
mod cursor;
mod diff;
mod edit;
mod node;
mod reader;

use corliss_blobstore::BlobId;
use corliss_types::VersionId;
use serde::{Deserialize, Serialize};

use crate::EntryPath;

pub use build::{Builder, Root};
pub use node::{Child, Node};

pub(crate) use check::check;
pub(crate) use cursor::Cursor;
pub(crate) use diff::{Change, Diff};
pub(crate) use edit::Editor;
pub(crate) use reader::{Reader, RecordWriter};

/// One file of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it lies.
    pub path: EntryPath,
    /// Its bytes.
    pub blob: BlobId,
    /// How many they are.
    pub size_bytes: u64,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
}

/// The version whose root is this record.
#[must_use]
pub fn version_of(root: BlobId) -> VersionId {
    VersionId::from_digest(root.digest())
}

/// The record at the root of a version.
#[must_use]
pub fn root_of(version: &VersionId) -> Option<BlobId> {
    version.as_str().strip_prefix("v_")?.parse().ok()
}

#[cfg(test)]
mod tests;

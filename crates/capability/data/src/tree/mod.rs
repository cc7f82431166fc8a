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
    /// Its bytes; or, of one that is linked, the [`Link`](crate::Link) to them.
    pub blob: BlobId,
    /// How many bytes the file has.
    pub size_bytes: u64,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
    /// Whether its bytes are an object of a source, and not stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link: bool,
}

impl Entry {
    /// Whether both have the same bytes, as far as their blobs tell: a text may look like the link of another file.
    #[must_use]
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        self.blob == other.blob && self.link == other.link
    }
}

/// Files that are linked, and the bytes of their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Linked {
    pub files: u64,
    pub bytes: u64,
}

impl Linked {
    /// With a file, if it is linked.
    pub fn and(self, entry: Option<&Entry>) -> Self {
        match entry.filter(|entry| entry.link) {
            None => self,
            Some(entry) => Self {
                files: self.files.saturating_add(1),
                bytes: self.bytes.saturating_add(entry.size_bytes),
            },
        }
    }

    /// Without others that are among them.
    pub const fn without(self, others: Self) -> Self {
        Self {
            files: self.files.saturating_sub(others.files),
            bytes: self.bytes.saturating_sub(others.bytes),
        }
    }

    /// With others.
    pub const fn with(self, others: Self) -> Self {
        Self {
            files: self.files.saturating_add(others.files),
            bytes: self.bytes.saturating_add(others.bytes),
        }
    }
}

/// A tree that was checked and may be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub root: Root,
    /// Of the whole tree.
    pub linked: Linked,
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

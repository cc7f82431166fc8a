//! What the service takes and answers.

use corliss_blobstore::BlobId;
use corliss_types::{CommitId, DatasetName, Timestamp, VersionId};
use serde::{Deserialize, Serialize};

use crate::history::{CommitInfo, RefKind, RefName};
use crate::{Entry, EntryPath};

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A version that is now recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Committed {
    /// The version.
    pub version: VersionId,
    /// The dataset, if the version is part of one's history now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetName>,
    /// The branch whose head it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<RefName>,
    /// The commit at that head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Whether there is a new commit (with a dataset), or the version is new (without).
    pub created: bool,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// Who does something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The caller's name.
    pub author: String,
    /// In the caller's words.
    pub message: String,
}

/// Which branch something is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The dataset; a commit makes one that is not there.
    pub dataset: DatasetName,
    /// The branch; the default one if none is named.
    pub branch: Option<RefName>,
    /// Where the caller believes its head to be; if it is elsewhere, nothing is done.
    pub expected: Option<CommitId>,
}

/// A file to be put into a version, or removed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which file.
    pub path: EntryPath,
    /// Its new bytes; none removes it.
    pub blob: Option<BlobId>,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
    /// Whether the blob is a link to its bytes.
    #[serde(default)]
    pub link: bool,
}

/// A dataset in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetSummary {
    /// Its name.
    pub name: DatasetName,
    /// The branch that the name alone means.
    pub default_branch: RefName,
    /// The commit at its head.
    pub head: CommitId,
    /// The version at its head.
    pub latest: VersionId,
    /// Commits on the longest way from the first to the head.
    pub versions: u64,
    /// Bytes of the latest version.
    pub size_bytes: u64,
    /// Files of the latest version.
    pub files: u64,
    /// Days for which the files of older commits are kept; none is forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u64>,
    /// When it was made.
    pub created_ms: Timestamp,
    /// When one of its names was last moved.
    pub updated_ms: Timestamp,
}

/// A branch or tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefInfo {
    /// Which of both.
    pub kind: RefKind,
    /// Its name.
    pub name: RefName,
    /// Where it points.
    pub commit: CommitId,
    /// When it was last moved.
    pub updated_ms: Timestamp,
    /// Whether only merges move it.
    pub protected: bool,
}

/// A dataset with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: DatasetSummary,
    /// Its branches by name; at most the first thousand.
    pub branches: Vec<RefInfo>,
    /// Its tags by name; at most the first thousand.
    pub tags: Vec<RefInfo>,
    /// The history of the default branch, newest first; at most the thousand newest commits.
    pub history: Vec<CommitInfo>,
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
    /// Of the files, those that are linked to objects of sources.
    #[serde(skip_serializing_if = "is_zero")]
    pub linked_files: u64,
    /// Bytes of those objects, which are not stored.
    #[serde(skip_serializing_if = "is_zero")]
    pub linked_bytes: u64,
    /// Whether its files are not kept any more, as the retention of its dataset is over.
    pub expired: bool,
    /// Datasets that have a commit of it.
    pub names: Vec<DatasetName>,
}

/// What a reference means now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The version.
    pub version: VersionId,
    /// The commit, unless the version itself was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The branch, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<RefName>,
}

/// What happened to a file between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Its bytes differ.
    Changed,
    /// Only whether it may be executed differs.
    Mode,
}

/// A file that differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it lies.
    pub path: EntryPath,
    /// How it differs.
    pub change: ChangeKind,
    /// As it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Entry>,
    /// As it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Entry>,
}

/// How much differs between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DiffSummary {
    /// Files that were not there before.
    pub added: u64,
    /// Files that are not there any more.
    pub removed: u64,
    /// Files whose bytes or mode differ.
    pub changed: u64,
    /// Bytes of the files that are new or differ, as they are.
    pub bytes_new: u64,
    /// Bytes of the files that are gone or differ, as they were.
    pub bytes_old: u64,
}

/// Something in a folder of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderItem {
    /// Its name within the folder.
    pub name: String,
    /// The file; none is a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Entry>,
    /// Files: one, or those below.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// Which side is taken where both changed a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConflictPolicy {
    /// None: nothing is merged, and the conflicts are told.
    #[default]
    Fail,
    /// That of the branch that is merged into.
    Ours,
    /// That of what is merged.
    Theirs,
}

/// What of a dataset is pushed, pulled or cloned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The dataset here.
    pub dataset: DatasetName,
    /// What it is called there; the same if none is named.
    pub remote_dataset: Option<DatasetName>,
    /// Which branches. If neither branches nor tags are named, all of both.
    pub branches: Option<Vec<RefName>>,
    /// Which tags.
    pub tags: Option<Vec<RefName>>,
    /// Whether a push may take commits from a branch, or move a tag.
    pub force: bool,
}

impl Transfer {
    /// All branches and tags of a dataset, by its own name.
    #[must_use]
    pub const fn all(dataset: DatasetName) -> Self {
        Self {
            dataset,
            remote_dataset: None,
            branches: None,
            tags: None,
            force: false,
        }
    }

    /// The dataset's name at the remote.
    pub(crate) fn there(&self) -> &DatasetName {
        self.remote_dataset.as_ref().unwrap_or(&self.dataset)
    }

    /// Whether a name is part of it.
    pub(crate) fn has(&self, kind: RefKind, name: &RefName) -> bool {
        if self.branches.is_none() && self.tags.is_none() {
            return true;
        }
        let names = match kind {
            RefKind::Branch => &self.branches,
            RefKind::Tag => &self.tags,
        };
        names.as_ref().is_some_and(|names| names.contains(name))
    }

    /// The names that were named.
    pub(crate) fn named(&self) -> impl Iterator<Item = (RefKind, &RefName)> {
        let branches = self.branches.iter().flatten();
        let tags = self.tags.iter().flatten();
        let branches = branches.map(|name| (RefKind::Branch, name));
        branches.chain(tags.map(|name| (RefKind::Tag, name)))
    }
}

/// What a push, pull or clone did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransferReport {
    /// The remote.
    pub remote: String,
    /// The dataset here.
    pub dataset: DatasetName,
    /// Its name there.
    pub remote_dataset: DatasetName,
    /// Commits that the receiver lacked.
    pub commits: u64,
    /// Every branch and tag that was part of it.
    pub refs: Vec<RefReport>,
}

/// What became of a branch or tag of the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefReport {
    /// Branch or tag.
    pub kind: RefKind,
    /// Its name.
    pub name: RefName,
    /// What was done.
    pub outcome: RefOutcome,
    /// Where it was at the receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<CommitId>,
    /// Where the sender has it.
    pub new: CommitId,
    /// The branch of the receiver that now points at what could not be moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_as: Option<RefName>,
}

/// What became of a branch or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefOutcome {
    /// It is new.
    Created,
    /// It was moved forward.
    Moved,
    /// It was moved though that lost commits, or though it is a tag.
    Forced,
    /// It was there already.
    UpToDate,
    /// The receiver has commits that the sender lacks, and lacks none.
    Ahead,
    /// Both have commits that the other lacks; it was left alone.
    Diverged,
    /// The receiver has a tag elsewhere, or the name is taken; it was left alone.
    Kept,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The source.
    pub source: String,
    /// The head of the branch now.
    #[serde(flatten)]
    pub committed: Committed,
    /// Objects that were read.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects that were linked and not read.
    #[serde(skip_serializing_if = "is_zero")]
    pub linked: u64,
    /// Their bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub linked_bytes: u64,
    /// Objects that are as they were when they were last imported.
    pub unchanged: u64,
}

/// What a merge did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The head of the branch now.
    #[serde(flatten)]
    pub committed: Committed,
    /// Whether the branch was only moved forward, without a commit of its own.
    pub fast_forward: bool,
    /// Files that both sides had changed, settled by the policy.
    pub settled: u64,
}

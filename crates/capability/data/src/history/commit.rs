//! A commit: which version, after what, by whom, when and why. Its id is the digest of all of that, so that a
//! history is the same on every server that has it.

use std::fmt::Write;

use corliss_blobstore::BlobId;
use corliss_types::{CommitId, Timestamp, VersionId};
use serde::{Deserialize, Serialize};

/// Raise when the form changes; it is part of every id.
const HEADER: &str = "corliss-commit 1\n";

/// An entry in a history; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The files as they were.
    pub version: VersionId,
    /// What it came after: nothing, one commit, or of a merge the branch's commit and the merged one.
    pub parents: Vec<CommitId>,
    /// Who made it.
    pub author: String,
    /// When.
    pub created_ms: Timestamp,
    /// Why, in the author's words.
    pub message: String,
}

impl Commit {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> CommitId {
        CommitId::from_digest(BlobId::of(self.canonical().as_bytes()).digest())
    }

    /// One line each for the version, every parent, the time and the author; then the message. Lines cannot be
    /// forged: the author is one line, and the message is last.
    fn canonical(&self) -> String {
        let mut text = format!("{HEADER}version {}\n", self.version);
        // Writing to a String cannot fail.
        for parent in &self.parents {
            let _ = writeln!(text, "parent {parent}");
        }
        let author = self.author.replace(['\n', '\r'], " ");
        let _ = write!(
            text,
            "created {}\nauthor {author}\n\n{}",
            self.created_ms.as_millis(),
            self.message
        );
        text
    }
}

/// A commit as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitInfo {
    /// Its id.
    pub commit: CommitId,
    /// What it says.
    #[serde(flatten)]
    pub what: Commit,
    /// How long the longest way to its beginning is; 1 has no parents.
    pub generation: u64,
    /// Bytes of the version.
    pub size_bytes: u64,
    /// Files of the version.
    pub files: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: a change here would give every commit a second name.
    #[test]
    fn the_form_is_what_it_was() {
        let commit = Commit {
            version: VersionId::from_digest([0xab; 32]),
            parents: vec![CommitId::from_digest([1; 32])],
            author: "ada\nparent c_00".to_owned(),
            created_ms: Timestamp::from_millis(5),
            message: "why\nversion v_00".to_owned(),
        };
        let expected = format!(
            "corliss-commit 1\nversion v_{}\nparent c_{}\ncreated 5\nauthor ada parent c_00\n\nwhy\nversion v_00",
            "ab".repeat(32),
            "01".repeat(32)
        );
        assert_eq!(commit.canonical(), expected);
        assert_eq!(
            commit.id().as_str(),
            format!("c_{}", BlobId::of(expected.as_bytes()))
        );
    }
}

//! What hooks are told of, and in which words.

use std::fmt;
use std::str::FromStr;

use corliss_types::{CommitId, DatasetName, Timestamp, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::When;
use crate::DataError;
use crate::history::{RefKind, RefName};

/// Something that happens to a branch or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HookEvent {
    /// A commit was made at the head of a branch: also one that takes another back, or over.
    #[serde(rename = "commit")]
    Commit,
    /// A branch got what another one has.
    #[serde(rename = "merge")]
    Merge,
    /// A branch was made.
    #[serde(rename = "branch.created")]
    BranchCreated,
    /// A branch was moved to commits that were there: by hand, a push or a pull.
    #[serde(rename = "branch.moved")]
    BranchMoved,
    /// A branch was deleted.
    #[serde(rename = "branch.deleted")]
    BranchDeleted,
    /// A tag was made.
    #[serde(rename = "tag.created")]
    TagCreated,
    /// A tag was moved, which only a forced push does.
    #[serde(rename = "tag.moved")]
    TagMoved,
    /// A tag was deleted.
    #[serde(rename = "tag.deleted")]
    TagDeleted,
}

impl HookEvent {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Commit,
        Self::Merge,
        Self::BranchCreated,
        Self::BranchMoved,
        Self::BranchDeleted,
        Self::TagCreated,
        Self::TagMoved,
        Self::TagDeleted,
    ];

    /// The word as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Merge => "merge",
            Self::BranchCreated => "branch.created",
            Self::BranchMoved => "branch.moved",
            Self::BranchDeleted => "branch.deleted",
            Self::TagCreated => "tag.created",
            Self::TagMoved => "tag.moved",
            Self::TagDeleted => "tag.deleted",
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HookEvent {
    type Err = DataError;
    fn from_str(text: &str) -> Result<Self, DataError> {
        let event = Self::ALL.into_iter().find(|event| event.as_str() == text);
        event.ok_or(DataError::BadHook {
            field: "events",
            problem: "must be of commit, merge, branch.created, branch.moved, branch.deleted, tag.created, \
                      tag.moved and tag.deleted",
        })
    }
}

/// A move of a branch or tag as hooks are told of it.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub dataset: DatasetName,
    pub kind: RefKind,
    pub name: RefName,
    /// As it is written down: `commit`, `merge`, `push`, …
    pub action: String,
    /// Who does it.
    pub by: String,
    pub old: Option<CommitId>,
    pub new: Option<CommitId>,
    /// What was merged.
    pub source: Option<CommitId>,
    /// The version, author and message of the new commit; of the old one if there is no new one.
    pub commit: Option<(VersionId, String, String)>,
    pub at: Timestamp,
}

impl Happening {
    /// What it is to hooks. What moves names to commits that are there is listed; whatever else makes a commit.
    pub fn event(&self) -> HookEvent {
        match (self.kind, self.old.is_some(), self.new.is_some()) {
            (RefKind::Tag, _, false) => HookEvent::TagDeleted,
            (RefKind::Tag, true, true) => HookEvent::TagMoved,
            (RefKind::Tag, false, true) => HookEvent::TagCreated,
            (RefKind::Branch, _, false) => HookEvent::BranchDeleted,
            (RefKind::Branch, is_old, true) => match (self.action.as_str(), is_old) {
                ("merge", _) => HookEvent::Merge,
                ("create" | "move" | "push" | "pull" | "clone", true) => HookEvent::BranchMoved,
                ("create" | "move" | "push" | "pull" | "clone", false) => HookEvent::BranchCreated,
                _ => HookEvent::Commit,
            },
        }
    }

    /// The JSON that is sent.
    pub fn body(&self, when: When) -> String {
        let mut data = json!({
            "dataset": self.dataset,
            self.kind.as_str(): self.name,
            "action": self.action,
            "by": self.by,
            "when": when,
            "old_commit": self.old,
            "new_commit": self.new,
        });
        if let Some(source) = &self.source {
            data["source"] = json!(source);
        }
        if let Some((version, author, message)) = &self.commit {
            data["version"] = json!(version);
            data["author"] = json!(author);
            data["message"] = json!(message);
        }
        envelope(self.event().as_str(), self.at, &data)
    }
}

/// What a test sends.
pub(crate) fn test_body(dataset: &DatasetName, hook: &str, by: &str, at: Timestamp) -> String {
    let data = json!({ "dataset": dataset, "hook": hook, "by": by });
    envelope("test", at, &data)
}

/// As the Standard Webhooks specification recommends.
fn envelope(event: &str, at: Timestamp, data: &Value) -> String {
    let kind = format!("dataset.{event}");
    json!({ "type": kind, "timestamp": at.rfc3339(), "data": data }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(kind: RefKind, action: &str, old: bool, new: bool) -> Happening {
        let id = |is: bool, number| is.then(|| CommitId::from_digest([number; 32]));
        Happening {
            dataset: "images".parse().unwrap(),
            kind,
            name: RefName::main(),
            action: action.to_owned(),
            by: "ada".to_owned(),
            old: id(old, 1),
            new: id(new, 2),
            source: None,
            commit: None,
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn what_makes_a_commit_is_told_from_what_moves_a_name() {
        let event = |kind, action, old, new| happening(kind, action, old, new).event().as_str();
        let (branch, tag) = (RefKind::Branch, RefKind::Tag);
        for (kind, action, old, new, expected) in [
            (branch, "commit", false, true, "commit"),
            (branch, "commit", true, true, "commit"),
            (branch, "revert", true, true, "commit"),
            (branch, "cherry-pick", true, true, "commit"),
            (branch, "merge", true, true, "merge"),
            (branch, "create", false, true, "branch.created"),
            (branch, "clone", false, true, "branch.created"),
            (branch, "push", true, true, "branch.moved"),
            (branch, "move", true, true, "branch.moved"),
            (branch, "delete", true, false, "branch.deleted"),
            (tag, "create", false, true, "tag.created"),
            (tag, "push", true, true, "tag.moved"),
            (tag, "delete", true, false, "tag.deleted"),
        ] {
            assert_eq!(event(kind, action, old, new), expected, "{action}");
        }
        for event in HookEvent::ALL {
            assert_eq!(event.as_str().parse::<HookEvent>().unwrap(), event);
            assert_eq!(json!(event), json!(event.as_str()));
        }
    }

    #[test]
    fn a_body_says_all_of_it() {
        let mut merge = happening(RefKind::Branch, "merge", true, true);
        merge.source = merge.new.clone();
        let version = VersionId::from_digest([3; 32]);
        merge.commit = Some((version.clone(), "grace".to_owned(), "Merge relabel".to_owned()));
        let body: Value = serde_json::from_str(&merge.body(When::After)).unwrap();
        let expected = json!({
            "type": "dataset.merge",
            "timestamp": "1970-01-01T00:00:00.000Z",
            "data": {
                "dataset": "images", "branch": "main", "action": "merge", "by": "ada", "when": "after",
                "old_commit": merge.old, "new_commit": merge.new, "source": merge.new,
                "version": version, "author": "grace", "message": "Merge relabel",
            },
        });
        assert_eq!(body, expected);
        let tag = happening(RefKind::Tag, "delete", true, false).body(When::Before);
        let tag: Value = serde_json::from_str(&tag).unwrap();
        assert_eq!(
            (&tag["data"]["tag"], &tag["data"]["new_commit"]),
            (&json!("main"), &Value::Null)
        );
    }
}

//! Who did what when: the lines of a model's log.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

/// Who changes something when nobody called: the program itself.
pub(crate) const ITSELF: &str = "corliss";

/// What is done to models and their versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Created,
    Described,
    Renamed,
    Deleted,
    TagSet,
    TagDeleted,
    AliasSet,
    AliasDeleted,
    Registered,
    MovedIn,
    Staged,
    VersionDeleted,
    Checked,
    Protected,
    Unprotected,
    Approved,
    Rejected,
    Deployed,
}

impl Action {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Described => "described",
            Self::Renamed => "renamed",
            Self::Deleted => "deleted",
            Self::TagSet => "tag_set",
            Self::TagDeleted => "tag_deleted",
            Self::AliasSet => "alias_set",
            Self::AliasDeleted => "alias_deleted",
            Self::Registered => "registered",
            Self::MovedIn => "moved_in",
            Self::Staged => "staged",
            Self::VersionDeleted => "version_deleted",
            Self::Checked => "checked",
            Self::Protected => "protected",
            Self::Unprotected => "unprotected",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Deployed => "deployed",
        }
    }
}

/// Who changes something, and when.
#[derive(Debug, Clone)]
pub(crate) struct By {
    pub actor: Arc<str>,
    pub now_ms: i64,
}

/// A line of a model's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelEvent {
    /// Rises with every line of the registry.
    pub sequence: i64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The name of who did it; `corliss` where the program followed an order given before.
    pub actor: String,
    /// Such as `registered`, `alias_set` or `approved`.
    pub action: String,
    /// The version it was done to, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// What else is known: an alias and from where to where it moved, a reason, a key.
    pub details: Value,
}

/// What a log keeps of a long text.
const SHOWN: usize = 300;

/// A text as a log keeps it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

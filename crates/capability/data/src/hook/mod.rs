//! Hooks of a dataset: whom to tell when its branches and tags move, or to ask before they do.

mod event;
mod pattern;

use std::fmt;

use corliss_metastore::Value;
use corliss_types::{DatasetName, Timestamp};
use corliss_webhook::DeliveryState;
use serde::{Deserialize, Serialize};

use crate::history::{RefKind, RefName};

pub use event::HookEvent;
pub(crate) use event::{Happening, test_body};
pub use pattern::BranchPattern;

/// Hooks of one dataset: every commit looks at all of them.
pub(crate) const HOOKS_MAX: usize = 20;
/// Patterns of one hook.
pub(crate) const PATTERNS_MAX: usize = 20;
/// How long a receiver may take: longer would hold up a commit, or the events behind.
pub(crate) const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1_000..=30_000;
/// Where nothing is said about it.
pub(crate) const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// When a receiver is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before anything moves, which it may refuse.
    Before,
    /// After something has moved, until it takes it.
    After,
}

impl When {
    /// The word as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl From<When> for Value {
    fn from(when: When) -> Self {
        Self::Text(when.as_str().to_owned())
    }
}

/// A hook as it is shown; its secret is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Its id.
    pub id: String,
    /// Whose.
    pub dataset: DatasetName,
    /// Where to; it may hold a token.
    pub url: String,
    /// What it is about.
    pub events: Vec<HookEvent>,
    /// Of which branches; of all if there are none. Events of tags are of all tags.
    pub branches: Vec<BranchPattern>,
    /// Before or after it happens.
    pub when: When,
    /// Whether it is called at all.
    pub enabled: bool,
    /// Why it is not, if nobody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// How long its receiver may take.
    pub timeout_ms: u64,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_ms: Timestamp,
    /// When it was last changed.
    pub updated_ms: Timestamp,
    /// Events that are yet to be delivered.
    pub pending: u64,
    /// Events that were dropped, as too many waited.
    pub dropped: u64,
}

impl Hook {
    /// Whether it is about this.
    pub(crate) fn is_about(&self, event: HookEvent, kind: RefKind, name: &RefName) -> bool {
        is_about(&self.events, &self.branches, event, kind, name)
    }
}

pub(crate) fn is_about(
    events: &[HookEvent],
    branches: &[BranchPattern],
    event: HookEvent,
    kind: RefKind,
    name: &RefName,
) -> bool {
    let is_there = || {
        kind == RefKind::Tag
            || branches.is_empty()
            || branches.iter().any(|pattern| pattern.matches(name.as_str()))
    };
    events.contains(&event) && is_there()
}

/// A hook that was just made or given a new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookWithSecret {
    /// The hook.
    #[serde(flatten)]
    pub hook: Hook,
    /// What its requests are signed with; shown this once, and not if it is unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A hook that is to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    /// Where to.
    pub url: String,
    /// What it is about.
    #[serde(default = "commits_and_merges")]
    pub events: Vec<HookEvent>,
    /// Of which branches; of all if there are none.
    #[serde(default)]
    pub branches: Vec<BranchPattern>,
    /// Before or after it happens.
    #[serde(default = "after")]
    pub when: When,
    /// Whether it is called from the start.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How long its receiver may take.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// What its requests are signed with; one is made if none is given.
    #[serde(default)]
    pub secret: Option<String>,
}

impl NewHook {
    /// One that is told of commits and merges after they happened, with everything else as it is by default.
    #[must_use]
    pub fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            events: commits_and_merges(),
            branches: Vec::new(),
            when: after(),
            enabled: yes(),
            timeout_ms: default_timeout(),
            secret: None,
        }
    }
}

fn commits_and_merges() -> Vec<HookEvent> {
    vec![HookEvent::Commit, HookEvent::Merge]
}

const fn after() -> When {
    When::After
}

const fn yes() -> bool {
    true
}

const fn default_timeout() -> u64 {
    DEFAULT_TIMEOUT_MS
}

/// What of a hook is to change; what is not named stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookChange {
    /// Where to.
    pub url: Option<String>,
    /// What it is about.
    pub events: Option<Vec<HookEvent>>,
    /// Of which branches; an empty list is all.
    pub branches: Option<Vec<BranchPattern>>,
    /// Before or after it happens.
    pub when: Option<When>,
    /// Whether it is called.
    pub enabled: Option<bool>,
    /// How long its receiver may take.
    pub timeout_ms: Option<u64>,
    /// What its requests are signed with from now on.
    pub secret: Option<String>,
    /// Whether a new secret is to be made.
    #[serde(default)]
    pub new_secret: bool,
}

/// An event on its way to a receiver, or there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookDelivery {
    /// The `webhook-id` of every request of it.
    pub id: String,
    /// Its number, rising within the dataset.
    pub sequence: u64,
    /// What happened.
    pub event: HookEvent,
    /// When it happened.
    pub created_ms: Timestamp,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// When it was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried_ms: Option<Timestamp>,
    /// When it is tried next, if it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<Timestamp>,
    /// The HTTP status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What came of the last try, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookTest {
    /// Whether the receiver took it.
    pub accepted: bool,
    /// The HTTP status, if it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What came of it, in words.
    pub outcome: String,
    /// How long it took.
    pub took_ms: u64,
}

/// The `webhook-id` of an event: the same for every try of it, and for nothing else. A dataset's hooks go with it, so
/// a number is not used twice under one hook.
pub(crate) fn message_id(hook: &str, number: impl fmt::Display) -> String {
    format!("msg_{}_{number}", hook.trim_start_matches("hook_"))
}

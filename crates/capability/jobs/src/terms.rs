//! How a job stands in the queue, and where it is put.

use corliss_types::{Placing, Timestamp};
use serde::{Deserialize, Serialize};

use crate::LOCAL_NODE;

/// The queue of a job that names none; it is always there.
pub const DEFAULT_QUEUE: &str = "default";

/// How a job stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The queue that it waits in.
    pub queue: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// What it is for: the project of its run, or the endpoint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// Higher goes first, within the queue.
    #[serde(default)]
    pub priority: i32,
    /// Whether it may be stopped for another, and submitted again then; without it, as its queue says. A service may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_preemptible: Option<bool>,
    /// Since when it counts as waiting, where that is before its submission: when the attempt was submitted that it
    /// goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How long its earlier attempts ran that made room for others, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_ms: Option<u64>,
    /// How long it is expected to run in all, in milliseconds; without it, its time-out counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
    /// Before when it is not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// When it has to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What of nodes will do.
    #[serde(default, skip_serializing_if = "Placing::is_any")]
    pub placing: Placing,
}

/// Where a worker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredPlace")]
pub struct Place {
    /// The node, by name.
    pub node: String,
    /// Its accelerators, by their indices on the machine.
    pub accelerators: Vec<u32>,
}

/// A place as it was stored before there were nodes, and since.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredPlace {
    OnTheMachine(Vec<u32>),
    OnANode { node: String, accelerators: Vec<u32> },
}

impl From<StoredPlace> for Place {
    fn from(stored: StoredPlace) -> Self {
        match stored {
            StoredPlace::OnTheMachine(accelerators) => Self {
                node: LOCAL_NODE.to_owned(),
                accelerators,
            },
            StoredPlace::OnANode { node, accelerators } => Self { node, accelerators },
        }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            queue: DEFAULT_QUEUE.to_owned(),
            user: String::new(),
            project: String::new(),
            priority: 0,
            is_preemptible: None,
            since: None,
            served_ms: None,
            expected_ms: None,
            not_before: None,
            deadline: None,
            placing: Placing::default(),
        }
    }
}

impl Terms {
    /// How long it runs in all, earlier attempts included, as far as that is known. A time-out is that of one attempt.
    pub(crate) fn run_ms(&self, timeout_ms: Option<u64>) -> Option<u64> {
        let served = self.served_ms.unwrap_or(0);
        self.expected_ms
            .or_else(|| timeout_ms.map(|attempt| attempt.saturating_add(served)))
    }
}

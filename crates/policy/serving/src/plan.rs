//! What was decided, and why.

use corliss_types::{ReplicaId, Timestamp};
use serde::{Deserialize, Serialize};

/// The decision about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What to do now, in order.
    pub actions: Vec<Action>,
    /// What to tell about the endpoint.
    pub phase: Phase,
    /// Why it is not simply ready.
    pub reasons: Vec<Reason>,
    /// When to look again, if time alone changes the decision.
    pub wake_at: Option<Timestamp>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Start a replica.
    Start {
        /// With this version.
        version: u32,
    },
    /// Send it no more requests.
    Drain {
        /// Which.
        replica: ReplicaId,
    },
    /// End its process.
    Stop {
        /// Which.
        replica: ReplicaId,
    },
    /// End its process and count it as one that ended by itself: it did not become ready in time.
    Fail {
        /// Which.
        replica: ReplicaId,
    },
}

/// What to tell about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// On the way to what it should be; it may serve already.
    Deploying,
    /// As it should be.
    Ready,
    /// It serves the wanted version with fewer replicas than wanted.
    Degraded,
    /// Replicas of the wanted version end again and again.
    Failed,
    /// On the way out.
    Stopping,
    /// Gone; nothing of it runs.
    Stopped,
}

/// Why an endpoint is not simply ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// Replicas wait for resources.
    Queued {
        /// How many.
        replicas: u32,
    },
    /// Replicas load the model.
    Starting {
        /// How many.
        replicas: u32,
    },
    /// An older version serves while the wanted one comes up.
    Rolling {
        /// Ready replicas of older versions.
        old_ready: u32,
        /// Ready replicas of the wanted version.
        new_ready: u32,
    },
    /// Replicas of a version that is let out beside the wanted one are not all ready.
    Beside {
        /// The version.
        version: u32,
        /// Its ready replicas.
        ready: u32,
        /// As many as it should have.
        wanted: u32,
    },
    /// A replica ended by itself and the next start waits.
    BackingOff {
        /// How many ended in a row.
        crashes: u32,
        /// When the next one starts.
        until: Timestamp,
    },
    /// Replicas finish their requests.
    Draining {
        /// How many.
        replicas: u32,
    },
}

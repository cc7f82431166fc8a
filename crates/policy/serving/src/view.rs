//! What a decision is made from: what an endpoint should be, and what it is.

use corliss_types::{DurationMs, ReplicaId, Timestamp};

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Time of the decision.
    pub now: Timestamp,
    /// What it should be; nothing if it is to go away.
    pub desired: Option<Desired>,
    /// Its replicas that have not ended.
    pub replicas: Vec<Replica>,
    /// How replicas of the wanted version fared.
    pub crashes: Crashes,
    /// A version that is let out beside the wanted one, or was and is to go at once.
    pub beside: Option<Beside>,
    /// Time limits.
    pub limits: Limits,
}

/// What an endpoint should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desired {
    /// Version of the model.
    pub version: u32,
    /// How many engine processes.
    pub replicas: u32,
}

/// A version beside the wanted one. Its replicas are none of those that the endpoint should have, and take nothing from
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// Version of the model; never the wanted one.
    pub version: u32,
    /// How many engine processes; none if it is to go.
    pub replicas: u32,
    /// How they fared.
    pub crashes: Crashes,
}

/// One engine process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its id; ids sort by creation.
    pub id: ReplicaId,
    /// Version of the model it was started with.
    pub version: u32,
    /// How far it is.
    pub state: ReplicaState,
    /// Requests it works on.
    pub in_flight: u32,
}

/// How far a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// It waits in the queue for its resources; that takes as long as it takes.
    Queued,
    /// Its process runs and loads the model.
    Starting {
        /// Since when.
        since: Timestamp,
    },
    /// It takes requests.
    Ready,
    /// It finishes its requests and takes no new ones.
    Draining {
        /// Since when.
        since: Timestamp,
    },
    /// It was told to stop and has not ended yet.
    Stopping,
}

/// Replicas of the wanted version that ended by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crashes {
    /// How many in a row, as `lifecycle::crashes_in_a_row` counts.
    pub in_a_row: u32,
    /// When the last one did.
    pub last: Timestamp,
}

/// Time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For loading a model.
    pub start_timeout: DurationMs,
    /// For requests in flight when a replica is to stop.
    pub drain_timeout: DurationMs,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start_timeout: DurationMs::from_secs(600),
            drain_timeout: DurationMs::from_secs(30),
        }
    }
}

//! Why a replica was picked, as data: the record of a request tells it.

use corliss_types::ReplicaId;
use serde::{Deserialize, Serialize};

/// A replica, and why it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Who takes the request.
    pub replica: ReplicaId,
    /// Why.
    pub reason: Reason,
}

/// Why a replica was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// It was its turn.
    Turn,
    /// Its share by weight was due.
    Weight,
    /// Nobody had fewer requests in flight.
    FewestInFlight {
        /// How many it had.
        in_flight: u64,
    },
    /// It was expected to answer before the other one that was drawn.
    FasterOfTwo {
        /// Its latency times the requests that would wait with this one, in microseconds.
        cost_us: u64,
    },
    /// Nobody had fewer tokens to compute.
    FewestTokens {
        /// How many it had.
        tokens: u64,
    },
    /// The prompt's beginning is cached there.
    PrefixHit {
        /// How many blocks of it.
        blocks: u32,
    },
    /// The prompt's beginning is cached nowhere: the less busy of two.
    PrefixMiss,
    /// The prompt's beginning is cached where too much is to be done: the less busy of two.
    ImbalanceBound {
        /// How many blocks the longest hit had.
        blocks: u32,
    },
    /// The session's own replica.
    AffinityKept,
    /// The session's own replica is aside, or was tried: the session's next one.
    AffinityMoved,
    /// There was no other.
    OnlyOne,
    /// All are set aside; trying is better than refusing.
    LastResort,
}

impl Reason {
    /// The reason without its numbers, as its JSON form has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Weight => "weight",
            Self::FewestInFlight { .. } => "fewest_in_flight",
            Self::FasterOfTwo { .. } => "faster_of_two",
            Self::FewestTokens { .. } => "fewest_tokens",
            Self::PrefixHit { .. } => "prefix_hit",
            Self::PrefixMiss => "prefix_miss",
            Self::ImbalanceBound { .. } => "imbalance_bound",
            Self::AffinityKept => "affinity_kept",
            Self::AffinityMoved => "affinity_moved",
            Self::OnlyOne => "only_one",
            Self::LastResort => "last_resort",
        }
    }
}

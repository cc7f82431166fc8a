//! What the router knows of one replica.

use corliss_types::{ReplicaId, Timestamp};

use super::breaker::Breaker;
use super::ejection::Outlier;
use super::hash::stable_hash;
use super::peak_ewma::PeakEwma;
use super::prefix::PrefixIndex;
use super::room::Room;

/// What an operator says of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The version of the model that it serves.
    pub version: u32,
    /// Its share under [`Strategy::Weighted`](super::Strategy::Weighted), against those of the others. One of
    /// 0 takes requests only if all others do, too, or are aside.
    pub weight: u32,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            version: 0,
            weight: 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) id: ReplicaId,
    /// What rendezvous hashing mixes with a session.
    pub(super) seed: u64,
    pub(super) profile: Profile,
    pub(super) in_flight: u64,
    /// Which pick it was picked last by; 0 if it never was.
    pub(super) picked: u64,
    /// Tokens still to be computed of what is in flight.
    pub(super) tokens: u64,
    /// What smooth weighted round robin owes it.
    pub(super) credit: i64,
    pub(super) latency: PeakEwma,
    pub(super) cached: PrefixIndex,
    pub(super) room: Room,
    pub(super) breaker: Breaker,
    pub(super) outlier: Outlier,
}

impl Slot {
    pub(super) fn new(id: ReplicaId) -> Self {
        Self {
            seed: stable_hash(id.as_str().as_bytes()),
            id,
            profile: Profile::default(),
            in_flight: 0,
            picked: 0,
            tokens: 0,
            credit: 0,
            latency: PeakEwma::default(),
            cached: PrefixIndex::default(),
            room: Room::default(),
            breaker: Breaker::default(),
            outlier: Outlier::default(),
        }
    }

    /// Until when it is aside, by its breaker or ejected; `None` if it takes requests.
    pub(super) fn aside_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.breaker.rests_until(now).max(self.outlier.ejected_until(now))
    }
}

//! What was decided, and why: starts with their places, gangs that are stopped for others, refusals; and why the rest waits.

use corliss_types::{JobId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::nodes::Spot;
use crate::queues::OverQuota;

/// The decision. What is in none of the lists waits, and [`crate::Scheduler::wait`] says why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Gangs to start now, in order.
    pub starts: Vec<Start>,
    /// Gangs to stop, each for another.
    pub preemptions: Vec<Preemption>,
    /// Where those others will be, in order.
    pub promises: Vec<Start>,
    /// Gangs that could not run here even alone.
    pub refusals: Vec<Refusal>,
    /// When to decide again if nothing happens before.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    /// Whether there is nothing to be done.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.starts.is_empty()
            && self.preemptions.is_empty()
            && self.promises.is_empty()
            && self.refusals.is_empty()
    }
}

/// A gang and its places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its job.
    pub job: JobId,
    /// One place for each worker, by rank.
    pub spots: Vec<Spot>,
}

/// A gang to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// Its job.
    pub job: JobId,
    /// The job that gets what it holds.
    pub for_job: JobId,
    /// By what right.
    pub right: Right,
}

/// By what right one gang takes another's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// The other used what this one's queue has a quota of.
    Quota,
    /// The other goes after it in the same queue.
    Order,
    /// The other's queue has more than its share.
    Share,
}

/// A gang that could not run here even alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its job.
    pub job: JobId,
    /// Why not.
    pub reason: Never,
}

/// Why a gang could never run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Never {
    /// There is no such queue.
    NoQueue {
        /// What it named.
        queue: String,
    },
    /// All nodes together have too little.
    TooLarge {
        /// Of what.
        shortages: Vec<Shortage>,
    },
    /// All nodes together have enough, but no node has enough for a worker, or no domain for the gang.
    NoPlace,
    /// What its queue or its user may use is less.
    Quota {
        /// Which.
        over: OverQuota,
    },
}

/// Why a gang waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Wait {
    /// It was submitted after the last decision.
    Undecided,
    /// It is not to start before.
    NotBefore {
        /// When.
        at: Timestamp,
    },
    /// Too little is free.
    NotEnoughFree {
        /// Of what, all nodes together; empty if enough is free, but not where it would have to be.
        shortages: Vec<Shortage>,
        /// When it fits at the latest, as far as it is known how long gangs run.
        at: Option<Timestamp>,
    },
    /// It would fit, and would make another wait longer that came before.
    KeptFree {
        /// For whom.
        job: JobId,
        /// Until when, if that is known.
        at: Option<Timestamp>,
    },
    /// Nobody overtakes in its queue.
    Behind {
        /// The first of the queue.
        job: JobId,
    },
    /// Its queue or its user may use no more now.
    OverQuota {
        /// What.
        over: OverQuota,
    },
    /// It starts as soon as these have ended.
    Promised {
        /// Who makes place for it.
        victims: Vec<JobId>,
    },
}

/// One resource that does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Which.
    pub resource: Resource,
    /// How much the whole gang asks for.
    pub needed: u64,
    /// How much there is for it.
    pub available: u64,
}

/// A kind of resource and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Thousandths of a CPU.
    CpuMilli,
    /// Bytes.
    MemoryBytes,
    /// Whole accelerators.
    Accelerators,
}

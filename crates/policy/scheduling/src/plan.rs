//! What was decided, and why: starts with their places, waits and refusals with their reasons as data.

use corliss_types::{JobId, Resources};
use serde::{Deserialize, Serialize};

/// The decision. Every queued gang is in exactly one of the three lists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Gangs to start now, in order.
    pub starts: Vec<Start>,
    /// Gangs that wait, in order.
    pub waits: Vec<Wait>,
    /// Gangs that could not run here even alone.
    pub refusals: Vec<Refusal>,
}

/// A gang to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its job.
    pub job: JobId,
    /// One place for each worker, by rank.
    pub placements: Vec<Placement>,
}

/// Where one worker goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Placement {
    /// Indices of its accelerators.
    pub accelerators: Vec<u32>,
}

/// A gang that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Its job.
    pub job: JobId,
    /// Place in the queue; the first is 1.
    pub position: u32,
    /// Why.
    pub reason: WaitReason,
}

/// Why a gang waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum WaitReason {
    /// It is first in the queue and does not fit yet.
    NotEnoughFree {
        /// What is missing.
        shortages: Vec<Shortage>,
    },
    /// One before it does not fit yet.
    Behind {
        /// The first of the queue.
        first: JobId,
        /// How many gangs are before this one.
        ahead: u32,
        /// What the first is missing.
        shortages: Vec<Shortage>,
    },
}

/// A gang that could not run here even alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its job.
    pub job: JobId,
    /// What the machine has too little of.
    pub shortages: Vec<Shortage>,
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

impl Shortage {
    /// Every resource of which `needs` exceeds `available`.
    #[must_use]
    pub fn between(needs: &Resources, available: &Resources) -> Vec<Self> {
        let pairs = [
            (Resource::CpuMilli, needs.cpu_milli, available.cpu_milli),
            (Resource::MemoryBytes, needs.memory_bytes, available.memory_bytes),
            (
                Resource::Accelerators,
                u64::from(needs.accelerators),
                u64::from(available.accelerators),
            ),
        ];
        let short = pairs
            .into_iter()
            .filter(|(_, needed, available)| needed > available);
        short
            .map(|(resource, needed, available)| Self {
                resource,
                needed,
                available,
            })
            .collect()
    }
}

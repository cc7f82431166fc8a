//! What a decision is made from: the machine, what runs on it, what waits.

use corliss_types::{JobId, Resources, Timestamp};

/// Everything the decision may look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// What there is to hand out.
    pub machine: Machine,
    /// Gangs that hold resources, whether starting, running or stopping.
    pub running: Vec<RunningGang>,
    /// Gangs that wait, in any order.
    pub queued: Vec<QueuedGang>,
}

/// What a machine has to hand out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Bytes.
    pub memory_bytes: u64,
    /// Indices of its accelerators, in rising order.
    pub accelerators: Vec<u32>,
}

impl Machine {
    /// The same as amounts.
    #[must_use]
    pub fn total(&self) -> Resources {
        Resources {
            cpu_milli: self.cpu_milli,
            memory_bytes: self.memory_bytes,
            accelerators: u32::try_from(self.accelerators.len()).unwrap_or(u32::MAX),
        }
    }
}

/// A gang that holds resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningGang {
    /// Its job.
    pub job: JobId,
    /// Processes.
    pub workers: u32,
    /// What each of them holds.
    pub per_worker: Resources,
    /// Indices of the accelerators that all of them hold together.
    pub accelerators: Vec<u32>,
}

/// A gang that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedGang {
    /// Its job.
    pub job: JobId,
    /// When it came; decides the order.
    pub submitted: Timestamp,
    /// Processes; none is treated as one.
    pub workers: u32,
    /// What each of them asks for.
    pub per_worker: Resources,
}

impl QueuedGang {
    /// What all workers ask for together.
    #[must_use]
    pub fn needs(&self) -> Resources {
        self.per_worker.times(self.workers.max(1))
    }
}

//! Recorded jobs, pods and clusters, whatever file they came from.

pub mod muri;
pub mod openb;

/// A recorded job. Times are microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// When it came, after the trace's begin.
    pub submitted_us: u64,
    /// How long it runs on the accelerators that it asks for.
    pub work_us: u64,
    /// Whole accelerators, all at once.
    pub accelerators: u32,
    /// What starting it costs before it computes anything.
    pub start_us: u64,
}

/// A cluster of equal nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// How many nodes.
    pub nodes: u32,
    /// Accelerators of each.
    pub accelerators_per_node: u32,
}

impl Cluster {
    /// All accelerators.
    #[must_use]
    pub const fn accelerators(self) -> u32 {
        self.nodes.saturating_mul(self.accelerators_per_node)
    }
}

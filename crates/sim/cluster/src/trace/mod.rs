//! Recorded jobs, pods and clusters, whatever file they came from.

pub mod listed;
pub mod muri;
pub mod openb;

/// Most nodes of a cluster that is given as two numbers, and most accelerators of each.
const NODES_MAX: u32 = 100_000;
const PER_NODE_MAX: u32 = 64;

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

impl std::str::FromStr for Cluster {
    type Err = String;

    /// Nodes and the accelerators of each, such as `16x8`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('x')
            .and_then(|(nodes, each)| Some((nodes.parse().ok()?, each.parse().ok()?)));
        match numbers {
            Some((nodes @ 1..=NODES_MAX, accelerators_per_node @ 1..=PER_NODE_MAX)) => Ok(Self {
                nodes,
                accelerators_per_node,
            }),
            _ => Err(format!(
                "'{text}' is no cluster: give 1 to {NODES_MAX} nodes and 1 to {PER_NODE_MAX} accelerators of each, such as 16x8"
            )),
        }
    }
}

impl Cluster {
    /// All accelerators.
    #[must_use]
    pub const fn accelerators(self) -> u32 {
        self.nodes.saturating_mul(self.accelerators_per_node)
    }
}

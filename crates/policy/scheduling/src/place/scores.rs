//! Scores of nodes for an ask; less is better.

use crate::nodes::{Ask, Node, Share, WHOLE};

/// A share of the largest node is told in so many parts.
const PARTS: u64 = 1_000_000;

/// The largest node of all, which others are measured by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ceiling {
    cpu_milli: u64,
    accelerator_milli: u64,
}

impl Ceiling {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let most = |of: fn(&Node) -> u64| nodes.iter().map(of).max().unwrap_or(0).max(1);
        Self {
            cpu_milli: most(|node| node.cpu_milli),
            accelerator_milli: most(Node::accelerator_milli),
        }
    }

    fn parts(self, cpu_milli: u64, accelerator_milli: u64) -> (u64, u64) {
        (
            cpu_milli.saturating_mul(PARTS) / self.cpu_milli,
            accelerator_milli.saturating_mul(PARTS) / self.accelerator_milli,
        )
    }

    /// What is left of CPUs and accelerators, each against the largest node.
    pub(super) fn left(self, node: &Node, ask: &Ask) -> u64 {
        let cpu = node.cpu_milli.saturating_sub(ask.cpu_milli);
        let accelerators = node.accelerator_milli().saturating_sub(ask.share.milli());
        let (cpu, accelerators) = self.parts(cpu, accelerators);
        cpu + accelerators
    }

    /// The product of what is free and what is asked for.
    pub(super) fn alike(self, node: &Node, ask: &Ask) -> u64 {
        let free = self.parts(node.cpu_milli, node.accelerator_milli());
        let asked = self.parts(ask.cpu_milli, ask.share.milli());
        free.0
            .saturating_mul(asked.0)
            .saturating_add(free.1.saturating_mul(asked.1))
    }
}

/// Shared accelerators first, those with the least free; then idle ones of used nodes, as few as can be; then idle nodes,
/// the smallest first.
pub(super) fn packing(node: &Node, ask: &Ask) -> u64 {
    const USED_NODE: u64 = 1_000_000;
    const IDLE_NODE: u64 = 2_000_000;
    let idle = node.idle() as u64;
    if node.idle() == node.accelerators.len() {
        return IDLE_NODE + idle;
    }
    match ask.share {
        Share::None => 0,
        Share::Whole(count) => USED_NODE + u64::from(count),
        Share::Part(milli) => {
            let shared = node
                .accelerators
                .iter()
                .filter(|free| (milli..WHOLE).contains(*free));
            shared.min().map_or(USED_NODE + 1, |free| u64::from(*free))
        }
    }
}

/// Which sizes of work each node has.
#[derive(Debug, Clone)]
pub(super) struct Sizes(Vec<u64>);

impl Sizes {
    pub(super) fn new(nodes: usize) -> Self {
        Self(vec![0; nodes])
    }

    /// A bit for each size: parts of an accelerator, one, two, and so on.
    fn of(ask: &Ask) -> u64 {
        match ask.share {
            Share::None => 0,
            Share::Part(_) => 1,
            Share::Whole(count) => 1 << count.min(63),
        }
    }

    pub(super) fn took(&mut self, node: usize, ask: &Ask) {
        self.0[node] |= Self::of(ask);
    }

    /// Nodes with nothing but work of this size first, then those with some of it, then idle ones, then all others; among
    /// equals the fullest.
    pub(super) fn unlike(&self, index: usize, node: &Node, ask: &Ask) -> u64 {
        const RANK: u64 = 1 << 32;
        let (here, size) = (self.0[index], Self::of(ask));
        let rank = match here {
            _ if ask.share == Share::None => 0,
            _ if here == size => 0,
            _ if here & size != 0 => 1,
            0 => 2,
            _ => 3,
        };
        rank * RANK + node.accelerator_milli()
    }
}

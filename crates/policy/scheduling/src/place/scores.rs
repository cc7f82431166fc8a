//! Scores of nodes for an ask; less is better.

use crate::nodes::{Ask, Node, Share, WHOLE};

/// A share of the largest node is told in so many parts.
const PARTS: i64 = 1_000_000;

/// The largest node of all, which others are measured by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceiling {
    cpu_milli: i64,
    accelerator_milli: i64,
}

impl Ceiling {
    pub(crate) fn of<'a>(nodes: impl Iterator<Item = &'a Node> + Clone) -> Self {
        let most = |of: fn(&Node) -> i64| nodes.clone().map(of).max().unwrap_or(0).max(1);
        Self {
            cpu_milli: most(|node| node.cpu_milli),
            accelerator_milli: most(Node::accelerator_milli),
        }
    }

    fn parts(self, cpu_milli: i64, accelerator_milli: i64) -> (i64, i64) {
        (
            cpu_milli.saturating_mul(PARTS) / self.cpu_milli,
            accelerator_milli.saturating_mul(PARTS) / self.accelerator_milli,
        )
    }

    /// What is left of CPUs and accelerators, each against the largest node.
    pub(crate) fn left(self, node: &Node, ask: &Ask) -> i64 {
        let cpu = node.cpu_milli.saturating_sub(ask.cpu_milli);
        let accelerators = node.accelerator_milli().saturating_sub(ask.share.milli());
        let (cpu, accelerators) = self.parts(cpu, accelerators);
        cpu.saturating_add(accelerators)
    }

    /// The product of what is free and what is asked for.
    pub(crate) fn alike(self, node: &Node, ask: &Ask) -> i64 {
        let free = self.parts(node.cpu_milli, node.accelerator_milli());
        let asked = self.parts(ask.cpu_milli, ask.share.milli());
        free.0
            .saturating_mul(asked.0)
            .saturating_add(free.1.saturating_mul(asked.1))
    }
}

/// Shared accelerators first, those with the least free; then idle ones of used nodes, as few as can be; then idle nodes,
/// the smallest first.
pub(crate) fn packing(node: &Node, ask: &Ask) -> i64 {
    const USED_NODE: i64 = 1_000_000;
    const IDLE_NODE: i64 = 2_000_000;
    if node.idle() == node.accelerators.len() {
        return IDLE_NODE.saturating_add(i64::try_from(node.idle()).unwrap_or(i64::MAX));
    }
    match ask.share {
        Share::None => 0,
        Share::Whole(count) => USED_NODE + i64::from(count),
        Share::Part(milli) => {
            let shared = node
                .accelerators
                .iter()
                .filter(|free| (milli..WHOLE).contains(*free));
            shared.min().map_or(USED_NODE + 1, |free| i64::from(*free))
        }
    }
}

/// Sizes of work, a bit for each: parts of an accelerator, one, two, and so on.
pub(crate) fn sizes(ask: &Ask) -> u64 {
    match ask.share {
        Share::None => 0,
        Share::Part(_) => 1,
        Share::Whole(count) => 1 << count.min(63),
    }
}

/// Nodes with nothing but work of this size first, then those with some of it, then idle ones, then all others; among
/// equals the fullest. `here` are the sizes of what the node was given.
pub(crate) fn unlike(here: u64, node: &Node, ask: &Ask) -> i64 {
    const RANK: i64 = 1 << 32;
    let size = sizes(ask);
    let rank = match here {
        _ if ask.share == Share::None => 0,
        _ if here == size => 0,
        _ if here & size != 0 => 1,
        0 => 2,
        _ => 3,
    };
    rank * RANK + node.accelerator_milli()
}

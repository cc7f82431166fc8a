//! Nodes and what is free of them, with accelerators that are shared in thousandths.

use std::collections::BTreeSet;

/// A whole accelerator, in thousandths.
pub const WHOLE: u16 = 1_000;

/// What is free of a node, or what it has where nothing runs on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Model of its accelerators, by number.
    pub model: u16,
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Memory, in a unit that is the same for all.
    pub memory: u64,
    /// Thousandths of each accelerator.
    pub accelerators: Vec<u16>,
}

/// What of accelerators is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Nothing.
    None,
    /// Thousandths of one, fewer than all.
    Part(u16),
    /// Whole ones.
    Whole(u32),
}

/// What one worker asks of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Memory, in the nodes' unit.
    pub memory: u64,
    /// Accelerators.
    pub share: Share,
    /// Models of accelerators that will do; empty for any.
    pub models: BTreeSet<u16>,
}

/// Where a worker is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The node, by its place in the list.
    pub node: usize,
    /// Its accelerators, by index.
    pub accelerators: Vec<usize>,
}

impl Share {
    /// In thousandths of an accelerator, all together.
    #[must_use]
    pub const fn milli(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Part(milli) => milli as u64,
            Self::Whole(count) => count as u64 * WHOLE as u64,
        }
    }
}

impl Node {
    /// Thousandths of accelerators that are free, all together.
    #[must_use]
    pub fn accelerator_milli(&self) -> u64 {
        self.accelerators.iter().map(|free| u64::from(*free)).sum()
    }

    /// Accelerators that nobody uses.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.accelerators.iter().filter(|free| **free == WHOLE).count()
    }

    /// Whether the ask fits here.
    #[must_use]
    pub fn fits(&self, ask: &Ask) -> bool {
        self.cpu_milli >= ask.cpu_milli && self.memory >= ask.memory && self.has(ask.share) && self.is_of(ask)
    }

    /// Whether its accelerators suffice.
    #[must_use]
    pub fn has(&self, share: Share) -> bool {
        match share {
            Share::None => true,
            Share::Part(milli) => self.accelerators.iter().any(|free| *free >= milli),
            Share::Whole(count) => self.idle() >= count as usize,
        }
    }

    /// Whether its accelerators are of a model that will do.
    #[must_use]
    pub fn is_of(&self, ask: &Ask) -> bool {
        ask.share == Share::None || ask.models.is_empty() || ask.models.contains(&self.model)
    }

    /// The accelerators for a share that fits: of a part, the one with the least free that suffices; of whole ones, the
    /// first.
    #[must_use]
    pub fn tightest(&self, share: Share) -> Vec<usize> {
        let free = self.accelerators.iter().enumerate();
        match share {
            Share::None => Vec::new(),
            Share::Part(milli) => {
                let enough = free.filter(|(_, free)| **free >= milli);
                let tightest = enough.min_by_key(|(_, free)| **free);
                tightest.map(|(index, _)| index).into_iter().collect()
            }
            Share::Whole(count) => {
                let idle = free.filter(|(_, free)| **free == WHOLE).map(|(index, _)| index);
                idle.take(count as usize).collect()
            }
        }
    }

    /// Takes what is asked for, on these accelerators; it must fit.
    pub fn take(&mut self, ask: &Ask, accelerators: &[usize]) {
        self.cpu_milli = self.cpu_milli.saturating_sub(ask.cpu_milli);
        self.memory = self.memory.saturating_sub(ask.memory);
        let each = match ask.share {
            Share::Part(milli) => milli,
            _ => WHOLE,
        };
        for index in accelerators {
            if let Some(free) = self.accelerators.get_mut(*index) {
                *free = free.saturating_sub(each);
            }
        }
    }
}

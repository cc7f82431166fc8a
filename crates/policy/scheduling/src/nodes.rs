//! Nodes and what is free of them, with accelerators that are shared in thousandths.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A whole accelerator, in thousandths.
pub const WHOLE: i16 = 1_000;

/// What is free of a node, or what it has where nothing runs on it. Less than nothing is free of what was promised to one
/// gang while another still holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Model of its accelerators, by number.
    pub model: u16,
    /// Thousandths of a CPU.
    pub cpu_milli: i64,
    /// Memory, in a unit that is the same for all.
    pub memory: i64,
    /// Thousandths of each accelerator.
    pub accelerators: Vec<i16>,
    /// Whether it may be taken away at short notice.
    pub is_spot: bool,
}

/// What of accelerators is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Nothing.
    None,
    /// Thousandths of one, fewer than all.
    Part(i16),
    /// Whole ones.
    Whole(u32),
}

/// What one worker asks of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// Thousandths of a CPU; not below 0.
    pub cpu_milli: i64,
    /// Memory, in the nodes' unit; not below 0.
    pub memory: i64,
    /// Accelerators.
    pub share: Share,
    /// Models of accelerators that will do; empty for any.
    pub models: BTreeSet<u16>,
    /// Whether it is to be nowhere from where it could be sent away at short notice.
    pub avoids_spot: bool,
}

/// Where a worker is put.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    /// The node, by its place in the list.
    pub node: u32,
    /// Its accelerators, by index.
    pub accelerators: Vec<u32>,
}

impl Share {
    /// In thousandths of an accelerator, all together.
    #[must_use]
    pub const fn milli(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Part(milli) => milli as i64,
            Self::Whole(count) => count as i64 * WHOLE as i64,
        }
    }

    /// Thousandths of each accelerator that it is given.
    const fn of_each(self) -> i16 {
        match self {
            Self::Part(milli) => milli,
            Self::None | Self::Whole(_) => WHOLE,
        }
    }
}

impl Node {
    /// Thousandths of accelerators that are free, all together.
    #[must_use]
    pub fn accelerator_milli(&self) -> i64 {
        self.accelerators.iter().map(|free| i64::from(*free).max(0)).sum()
    }

    /// CPUs, memory and accelerators, where there are any.
    pub(crate) fn amounts(&self) -> (i64, i64, i64) {
        (
            self.cpu_milli.max(0),
            self.memory.max(0),
            self.accelerator_milli(),
        )
    }

    /// Accelerators that nobody uses.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.accelerators.iter().filter(|free| **free == WHOLE).count()
    }

    /// Whether the ask fits here.
    #[must_use]
    pub fn fits(&self, ask: &Ask) -> bool {
        self.cpu_milli >= ask.cpu_milli && self.memory >= ask.memory && self.has(ask.share) && self.takes(ask)
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

    /// Whether it is such a node as is asked for, whatever is free of it.
    #[must_use]
    pub fn takes(&self, ask: &Ask) -> bool {
        self.is_of(ask) && !(self.is_spot && ask.avoids_spot)
    }

    /// The accelerators for a share that fits: of a part, the one with the least free that suffices; of whole ones, the
    /// first.
    #[must_use]
    pub fn tightest(&self, share: Share) -> Vec<u32> {
        let free = (0_u32..).zip(&self.accelerators);
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

    /// How many workers of this ask fit here together.
    #[must_use]
    pub fn room_for(&self, ask: &Ask) -> u32 {
        if !self.takes(ask) {
            return 0;
        }
        let of = |free: i64, each: i64| if each <= 0 { i64::MAX } else { free / each };
        let shares = match ask.share {
            Share::None => i64::MAX,
            Share::Part(milli) => {
                let each = i64::from(milli.max(1));
                self.accelerators
                    .iter()
                    .map(|free| i64::from(*free).max(0) / each)
                    .sum()
            }
            Share::Whole(count) => of(i64::try_from(self.idle()).unwrap_or(0), i64::from(count)),
        };
        let most = of(self.cpu_milli, ask.cpu_milli)
            .min(of(self.memory, ask.memory))
            .min(shares);
        u32::try_from(most.max(0)).unwrap_or(u32::MAX)
    }

    /// Whether nothing of it is promised that somebody else still holds.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.cpu_milli >= 0 && self.memory >= 0 && self.accelerators.iter().all(|free| *free >= 0)
    }

    /// Takes what is asked for, on these accelerators.
    pub fn take(&mut self, ask: &Ask, accelerators: &[u32]) {
        self.change(ask, accelerators, -1);
    }

    /// Gives back what was taken.
    pub fn give(&mut self, ask: &Ask, accelerators: &[u32]) {
        self.change(ask, accelerators, 1);
    }

    fn change(&mut self, ask: &Ask, accelerators: &[u32], sign: i16) {
        self.cpu_milli = self
            .cpu_milli
            .saturating_add(ask.cpu_milli.saturating_mul(sign.into()));
        self.memory = self.memory.saturating_add(ask.memory.saturating_mul(sign.into()));
        let each = ask.share.of_each() * sign;
        for index in accelerators {
            if let Some(free) = self.accelerators.get_mut(*index as usize) {
                *free = free.saturating_add(each);
            }
        }
    }
}

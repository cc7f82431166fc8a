//! Fragmentation gradient descent (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): a worker goes where what is
//! free and of no use to usual asks grows least.
//!
//! What is free of a node's accelerators is a fragment for an ask if the ask does not fit the node at all; if it does, what
//! is free of those accelerators that have too little for it. Weighed by how usual each ask is, that is the node's
//! fragmentation.

use std::collections::BTreeMap;

use crate::nodes::{Ask, Node, Share, WHOLE};

/// Nodes whose fragmentation grows by as many of these thousandths are alike; of those the fullest is taken.
const ALIKE_MILLI: i64 = 100;

/// How usual each ask is that accelerators are asked for with.
#[derive(Debug, Clone, Default)]
pub struct Mix(Vec<(Ask, i64)>);

/// How much the fragmentation of a node grows by a worker, at best, and on which accelerator if it takes a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// In steps of what is alike.
    pub steps: i64,
    pub part_of: Option<u32>,
}

impl Mix {
    /// The asks that make up so many percent of these, the most frequent first.
    #[must_use]
    pub fn of<'a>(asks: impl IntoIterator<Item = &'a Ask>, percent: u64) -> Self {
        let mut counts: BTreeMap<&Ask, u64> = BTreeMap::new();
        let mut all = 0;
        for ask in asks.into_iter().filter(|ask| ask.share != Share::None) {
            *counts.entry(ask).or_default() += 1;
            all += 1;
        }
        let mut counts: Vec<(&Ask, u64)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut usual = Vec::new();
        let mut covered = 0;
        for (ask, count) in counts {
            if covered * 100 >= all * percent {
                break;
            }
            covered += count;
            usual.push((ask.clone(), i64::try_from(count).unwrap_or(i64::MAX)));
        }
        Self(usual)
    }

    /// What all asks weigh together; at least 1.
    pub(crate) fn weight(&self) -> i64 {
        self.0.iter().map(|(_, count)| count).sum::<i64>().max(1)
    }

    /// Thousandths of accelerators that are of no use, times the weights of those to whom they are not.
    pub(crate) fn fragments(&self, node: &Node) -> i64 {
        let free = node.accelerator_milli();
        if free == 0 {
            return 0;
        }
        let of = |ask: &Ask| {
            let fits = node.cpu_milli >= ask.cpu_milli && node.has(ask.share) && node.is_of(ask);
            if !fits {
                return free;
            }
            let needed = match ask.share {
                Share::Part(milli) => milli,
                _ => WHOLE,
            };
            let small = node.accelerators.iter().filter(|free| **free < needed);
            small.map(|free| i64::from(*free).max(0)).sum()
        };
        self.0.iter().map(|(ask, count)| of(ask) * count).sum()
    }

    /// How much the node's fragmentation, which is `now`, grows by a worker that fits.
    pub(crate) fn growth(&self, node: &Node, now: i64, ask: &Ask) -> Growth {
        let alike = ALIKE_MILLI * self.weight();
        let after = |accelerators: &[u32]| {
            let mut node = node.clone();
            node.take(ask, accelerators);
            self.fragments(&node) - now
        };
        let Share::Part(milli) = ask.share else {
            return Growth {
                steps: after(&node.tightest(ask.share)).div_euclid(alike),
                part_of: None,
            };
        };
        // Those with as much free are all the same.
        let mut tried: Vec<i16> = Vec::with_capacity(node.accelerators.len());
        let apart = (0_u32..).zip(&node.accelerators).filter(|(_, free)| {
            let is_new = **free >= milli && !tried.contains(free);
            tried.push(**free);
            is_new
        });
        let growths = apart.map(|(part_of, _)| (after(&[part_of]), part_of));
        let least = growths.min_by_key(|(fragments, _)| *fragments);
        Growth {
            steps: least.map_or(0, |(fragments, _)| fragments.div_euclid(alike)),
            part_of: least.map(|(_, part_of)| part_of),
        }
    }
}

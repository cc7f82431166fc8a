//! Fragmentation gradient descent (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): a worker goes where what is
//! free and of no use to usual asks grows least.
//!
//! What is free of a node's accelerators is a fragment for an ask if the ask does not fit the node at all; if it does, what
//! is free of those accelerators that have too little for it. Weighed by how usual each ask is, that is the node's
//! fragmentation.

use std::collections::BTreeMap;

use crate::nodes::{Ask, Node, Share, Spot, WHOLE};

/// Nodes whose fragmentation grows by as many of these thousandths are alike; of those the fullest is taken.
const ALIKE_MILLI: i64 = 100;

/// How usual each ask is that accelerators are asked for with.
#[derive(Debug, Clone, Default)]
pub struct Mix(Vec<(Ask, i64)>);

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

    fn weight(&self) -> i64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Thousandths of accelerators that are of no use, times the weights of those to whom they are not.
    fn fragments(&self, node: &Node) -> i64 {
        let free = i64::try_from(node.accelerator_milli()).unwrap_or(i64::MAX);
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
            small.map(|free| i64::from(*free)).sum()
        };
        self.0.iter().map(|(ask, count)| of(ask) * count).sum()
    }
}

/// Chooses by the change of fragmentation, and remembers what it has computed for nodes that have not changed.
#[derive(Debug, Clone)]
pub(super) struct Gradient {
    mix: Mix,
    /// By node, rises with every change of it.
    versions: Vec<u32>,
    /// What each node's fragmentation is.
    now: Vec<Known<i64>>,
    asks: BTreeMap<Ask, Vec<Known<Option<Growth>>>>,
}

/// Something computed of a node at a version of it.
#[derive(Debug, Clone, Copy)]
struct Known<T> {
    version: u32,
    value: T,
}

/// How much the fragmentation of a node grows by a worker, at best, and on which accelerator if it takes a part of one.
#[derive(Debug, Clone, Copy)]
struct Growth {
    fragments: i64,
    part_of: usize,
}

impl Gradient {
    pub(super) fn new(mix: Mix, nodes: usize) -> Self {
        Self {
            mix,
            versions: vec![1; nodes],
            now: vec![Known { version: 0, value: 0 }; nodes],
            asks: BTreeMap::new(),
        }
    }

    pub(super) fn changed(&mut self, node: usize) {
        self.versions[node] += 1;
    }

    pub(super) fn fragments_milli(&mut self, nodes: &[Node]) -> u64 {
        let all: i64 = nodes.iter().map(|node| self.mix.fragments(node)).sum();
        let weight = self.mix.weight().max(1);
        u64::try_from(all / weight).unwrap_or(0)
    }

    pub(super) fn choose(&mut self, nodes: &[Node], ask: &Ask) -> Option<Spot> {
        let unknown = Known {
            version: 0,
            value: None,
        };
        if !self.asks.contains_key(ask) {
            self.asks.insert(ask.clone(), vec![unknown; nodes.len()]);
        }
        let known = self.asks.get_mut(ask)?;
        for (index, node) in nodes.iter().enumerate() {
            let version = self.versions[index];
            if known[index].version == version {
                continue;
            }
            let now = &mut self.now[index];
            if now.version != version {
                *now = Known {
                    version,
                    value: self.mix.fragments(node),
                };
            }
            let value = node.fits(ask).then(|| growth(&self.mix, node, now.value, ask));
            known[index] = Known { version, value };
        }
        let alike = ALIKE_MILLI * self.mix.weight().max(1);
        let growths = known.iter().zip(nodes).enumerate();
        let (node, growth) = growths
            .filter_map(|(index, (known, node))| Some((index, node, known.value?)))
            .min_by_key(|(_, node, growth)| {
                let steps = growth.fragments.div_euclid(alike);
                (steps, node.accelerator_milli(), node.cpu_milli)
            })
            .map(|(index, _, growth)| (index, growth))?;
        let accelerators = match ask.share {
            Share::Part(_) => vec![growth.part_of],
            whole => nodes[node].tightest(whole),
        };
        Some(Spot { node, accelerators })
    }
}

fn growth(mix: &Mix, node: &Node, now: i64, ask: &Ask) -> Growth {
    let after = |accelerators: &[usize]| {
        let mut node = node.clone();
        node.take(ask, accelerators);
        mix.fragments(&node)
    };
    let Share::Part(milli) = ask.share else {
        let fragments = after(&node.tightest(ask.share)) - now;
        return Growth {
            fragments,
            part_of: 0,
        };
    };
    let enough = (0..node.accelerators.len()).filter(|index| node.accelerators[*index] >= milli);
    // Those with as much free are all the same.
    let mut tried: Vec<u16> = Vec::with_capacity(node.accelerators.len());
    let apart = enough.filter(|index| {
        let free = node.accelerators[*index];
        let is_new = !tried.contains(&free);
        tried.push(free);
        is_new
    });
    let growths = apart.map(|part_of| Growth {
        fragments: after(&[part_of]) - now,
        part_of,
    });
    growths.min_by_key(|growth| growth.fragments).unwrap_or(Growth {
        fragments: 0,
        part_of: 0,
    })
}

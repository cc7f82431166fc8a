//! Where a worker goes: one node among those that it fits.
//!
//! - [`Placement::Random`] draws;
//! - [`Placement::FirstFit`] takes the first;
//! - [`Placement::BestFit`] the one that is left with the least;
//! - [`Placement::DotProduct`] the one whose free resources are least alike what is asked for (Tetris, SIGCOMM 2014, turned
//!   to packing);
//! - [`Placement::Packing`] shared accelerators before idle ones, and used nodes before idle ones;
//! - [`Placement::Clustering`] nodes with work of the same size;
//! - [`Placement::Fgd`] the one where what no usual ask can use grows least (fragmentation gradient descent, ATC 2023).

mod fgd;
mod scores;

use std::fmt;
use std::str::FromStr;

use fgd::Gradient;
pub use fgd::Mix;

use crate::nodes::{Ask, Node, Spot};
use scores::{Ceiling, Sizes};

/// What decides where a worker goes. Ties go to the first node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// By lot.
    Random,
    /// The first node.
    FirstFit,
    /// The least that is left.
    BestFit,
    /// The least alike.
    DotProduct,
    /// Shared before idle.
    Packing,
    /// Like to like.
    Clustering,
    /// The least fragmentation.
    Fgd,
}

impl Placement {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Random,
        Self::FirstFit,
        Self::BestFit,
        Self::DotProduct,
        Self::Packing,
        Self::Clustering,
        Self::Fgd,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::FirstFit => "first_fit",
            Self::BestFit => "best_fit",
            Self::DotProduct => "dot_product",
            Self::Packing => "packing",
            Self::Clustering => "clustering",
            Self::Fgd => "fgd",
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|one| one.name() == text);
        named.ok_or_else(|| format!("'{text}' is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Puts workers on nodes, one after another, by one policy.
#[derive(Debug, Clone)]
pub struct Placer {
    policy: Placement,
    nodes: Vec<Node>,
    ceiling: Ceiling,
    sizes: Sizes,
    gradient: Gradient,
}

impl Placer {
    /// Nodes on which nothing runs. `mix` says what is usually asked for, which [`Placement::Fgd`] keeps room for.
    #[must_use]
    pub fn new(policy: Placement, nodes: Vec<Node>, mix: Mix) -> Self {
        Self {
            policy,
            ceiling: Ceiling::of(&nodes),
            sizes: Sizes::new(nodes.len()),
            gradient: Gradient::new(mix, nodes.len()),
            nodes,
        }
    }

    /// The nodes, with what is free of them.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Thousandths of accelerators that are free and of no use to what is usually asked for.
    #[must_use]
    pub fn fragments_milli(&mut self) -> u64 {
        self.gradient.fragments_milli(&self.nodes)
    }

    /// Puts a worker somewhere; none where it fits nowhere. `random` are 64 random bits.
    pub fn place(&mut self, ask: &Ask, random: u64) -> Option<Spot> {
        let spot = self.choose(ask, random)?;
        self.nodes[spot.node].take(ask, &spot.accelerators);
        self.sizes.took(spot.node, ask);
        self.gradient.changed(spot.node);
        Some(spot)
    }

    fn choose(&mut self, ask: &Ask, random: u64) -> Option<Spot> {
        if self.policy == Placement::Fgd {
            return self.gradient.choose(&self.nodes, ask);
        }
        let fitting = || self.nodes.iter().enumerate().filter(|(_, node)| node.fits(ask));
        let node = match self.policy {
            Placement::Random => {
                let count = fitting().count() as u64;
                let drawn = random.checked_rem(count)?;
                fitting()
                    .nth(usize::try_from(drawn).ok()?)
                    .map(|(index, _)| index)
            }
            Placement::FirstFit | Placement::Fgd => fitting().map(|(index, _)| index).next(),
            Placement::BestFit => least(fitting(), |_, node| self.ceiling.left(node, ask)),
            Placement::DotProduct => least(fitting(), |_, node| self.ceiling.alike(node, ask)),
            Placement::Packing => least(fitting(), |_, node| scores::packing(node, ask)),
            Placement::Clustering => least(fitting(), |index, node| self.sizes.unlike(index, node, ask)),
        }?;
        Some(Spot {
            node,
            accelerators: self.nodes[node].tightest(ask.share),
        })
    }
}

fn least<'a>(
    nodes: impl Iterator<Item = (usize, &'a Node)>,
    score: impl Fn(usize, &Node) -> u64,
) -> Option<usize> {
    nodes
        .min_by_key(|(index, node)| score(*index, node))
        .map(|(index, _)| index)
}

/// Puts a gang that asks for whole accelerators and nothing else on as few nodes as can be: on the first with enough idle
/// ones, or, if it is larger than a node, on idle nodes and the rest on one more. None of it where not all of it fits.
pub fn consolidated(idle: &mut [u32], per_node: u32, count: u32) -> Option<Vec<(usize, u32)>> {
    let (whole, rest) = (count.checked_div(per_node)? as usize, count % per_node);
    let mut spots: Vec<(usize, u32)> = Vec::with_capacity(whole + 1);
    let all = idle.iter().enumerate().filter(|(_, idle)| **idle == per_node);
    spots.extend(all.map(|(index, _)| (index, per_node)).take(whole));
    if spots.len() < whole {
        return None;
    }
    if rest > 0 {
        let taken = |index: usize| spots.iter().any(|(other, _)| *other == index);
        let node = (0..idle.len()).find(|index| idle[*index] >= rest && !taken(*index))?;
        spots.push((node, rest));
    }
    for (node, count) in &spots {
        idle[*node] -= count;
    }
    Some(spots)
}

#[cfg(test)]
mod tests;

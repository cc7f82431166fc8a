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
pub(crate) mod scores;

use std::fmt;

pub use fgd::Mix;

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
mod tests {
    use super::*;

    #[test]
    fn gangs_are_kept_together() {
        let mut idle = [8, 3, 8, 8];
        assert_eq!(consolidated(&mut idle, 8, 2), Some(vec![(0, 2)]));
        assert_eq!(consolidated(&mut idle, 8, 16), Some(vec![(2, 8), (3, 8)]));
        assert_eq!(idle, [6, 3, 0, 0]);
        assert_eq!(consolidated(&mut idle, 8, 7), None);
        assert_eq!(consolidated(&mut idle, 8, 11), None);
        assert_eq!(idle, [6, 3, 0, 0], "what does not fit whole takes nothing");
        let mut idle = [8, 3];
        assert_eq!(consolidated(&mut idle, 8, 11), Some(vec![(0, 8), (1, 3)]));
    }
}

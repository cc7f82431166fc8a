//! Where nodes stand: domains within domains, such as racks and the NVLink domains in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Seat;

/// How near to each other a gang's workers are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Wherever they fit.
    #[default]
    Anywhere,
    /// In one domain of this level, or not at all. The outermost level is 0.
    Within(u8),
    /// In one domain of this level if that can be, else in one of the next outer level that can be, else anywhere.
    Near(u8),
    /// On as many different nodes as can be.
    Spread,
}

/// By level, then by name: the nodes that stand there, in rising order.
#[derive(Debug, Clone, Default)]
pub(super) struct Domains(Vec<BTreeMap<Vec<String>, Vec<u32>>>);

impl Domains {
    pub(super) fn of(seats: &[Seat]) -> Self {
        let levels = seats.iter().map(|seat| seat.domains.len()).max().unwrap_or(0);
        let mut domains = Self(vec![BTreeMap::new(); levels]);
        for (index, seat) in (0_u32..).zip(seats) {
            for (level, of_level) in domains.0.iter_mut().enumerate() {
                // Racks of different rows are different racks, whatever they are called.
                if let Some(path) = seat.domains.get(..=level) {
                    of_level.entry(path.to_vec()).or_default().push(index);
                }
            }
        }
        domains
    }

    /// The domains of a level; none if there is no such level.
    pub(super) fn at(&self, level: u8) -> impl Iterator<Item = &[u32]> {
        let domains = self.0.get(usize::from(level));
        domains.into_iter().flat_map(BTreeMap::values).map(Vec::as_slice)
    }
}

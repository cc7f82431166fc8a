//! Putting whole gangs: all of the fewest workers that it can do with, or none.

use std::collections::BTreeSet;

use super::{Among, Cluster, Topology};
use crate::nodes::{Ask, Share, Spot};

/// What a gang asks of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// What each worker asks for.
    pub ask: Ask,
    /// The fewest workers that it can do with; at least 1.
    pub least: u32,
    /// As many as it can use; at least `least`.
    pub most: u32,
    /// How near to each other they are put.
    pub topology: Topology,
}

/// A part of the cluster that a gang may be put into.
enum Scope {
    All,
    Domain(Vec<u32>),
}

impl Cluster {
    /// Puts a gang and takes its spots, one for each worker by rank. None of it is put where not all of the fewest fit.
    /// Nodes in `barred` are not used. All workers get accelerators of one model.
    pub fn place(&mut self, wanted: &Wanted, barred: &BTreeSet<u32>, random: u64) -> Option<Vec<Spot>> {
        for ask in self.of_one_model(wanted) {
            for scope in self.scopes(&ask, wanted) {
                if let Some(spots) = self.place_within(&ask, wanted, &scope, barred, random) {
                    return Some(spots);
                }
            }
        }
        None
    }

    /// The ask for each model that will do; as it is where the model makes no difference.
    fn of_one_model(&self, wanted: &Wanted) -> Vec<Ask> {
        let ask = &wanted.ask;
        if ask.share == Share::None || wanted.most <= 1 {
            return vec![ask.clone()];
        }
        let will_do = |model: &&u16| ask.models.is_empty() || ask.models.contains(model);
        let models: Vec<u16> = self.models.iter().filter(will_do).copied().collect();
        if models.len() == self.models.len() && models.len() <= 1 {
            return vec![ask.clone()];
        }
        let of = |model| Ask {
            models: BTreeSet::from([model]),
            ..ask.clone()
        };
        models.into_iter().map(of).collect()
    }

    fn scopes(&self, ask: &Ask, wanted: &Wanted) -> Vec<Scope> {
        match wanted.topology {
            Topology::Anywhere | Topology::Spread => vec![Scope::All],
            Topology::Within(level) => self.tightest_domains(ask, wanted, level),
            Topology::Near(level) => {
                let mut scopes = Vec::new();
                for level in (0..=level).rev() {
                    scopes.extend(self.tightest_domains(ask, wanted, level));
                }
                scopes.push(Scope::All);
                scopes
            }
        }
    }

    /// Domains with room for enough: those with room for all that it can use first, the fullest of them first.
    fn tightest_domains(&self, ask: &Ask, wanted: &Wanted, level: u8) -> Vec<Scope> {
        let mut domains: Vec<(u64, &[u32])> = Vec::new();
        for nodes in self.domains.at(level) {
            let open = nodes
                .iter()
                .filter_map(|node| self.slots.get(*node as usize))
                .filter(|slot| slot.is_open);
            let room: u64 = open.map(|slot| u64::from(slot.state.free.room_for(ask))).sum();
            if room >= u64::from(wanted.least) {
                domains.push((room, nodes));
            }
        }
        let most = u64::from(wanted.most);
        domains.sort_by_key(|(room, nodes)| (most.saturating_sub(*room), *room, nodes.first().copied()));
        domains
            .into_iter()
            .map(|(_, nodes)| Scope::Domain(nodes.to_vec()))
            .collect()
    }

    fn place_within(
        &mut self,
        ask: &Ask,
        wanted: &Wanted,
        scope: &Scope,
        barred: &BTreeSet<u32>,
        random: u64,
    ) -> Option<Vec<Spot>> {
        let among = match scope {
            Scope::All => Among::All,
            Scope::Domain(nodes) => Among::These(nodes),
        };
        let is_spread = wanted.topology == Topology::Spread;
        let mut spots: Vec<Spot> = Vec::new();
        // Where it is spread, nodes that it has a worker on already are left out until all have one.
        let mut used = barred.clone();
        while spots.len() < wanted.most as usize {
            let turn = random.wrapping_add(spots.len() as u64);
            let spot = match self.choose(ask, among, &used, turn) {
                Some(spot) => spot,
                None if used.len() > barred.len() => {
                    used.clone_from(barred);
                    continue;
                }
                None => break,
            };
            if is_spread {
                used.insert(spot.node);
            }
            self.take(ask, &spot);
            spots.push(spot);
        }
        if spots.len() < wanted.least.max(1) as usize {
            for spot in &spots {
                self.give(ask, spot);
            }
            return None;
        }
        Some(spots)
    }
}

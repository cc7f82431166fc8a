//! The nodes as the policy sees them: by number, with their accelerators' models and places in numbers too; and back.

use std::collections::{BTreeMap, BTreeSet};

use corliss_executor::inventory::Inventory;
use corliss_policy_scheduling::Gang;
use corliss_policy_scheduling::cluster::{Seat, Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Node, Share, Spot, WHOLE};
use corliss_types::{Nearness, Placing, amount, is_called};

use super::{NodeSettings, NodeSpec};
use crate::store::Asked;
use crate::view::signed;
use crate::{JobsError, Place, text};

/// The number of a model or level that there is none of: nothing fits it.
const NONE_SUCH: u16 = u16::MAX;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floor {
    nodes: Vec<Named>,
    levels: Vec<String>,
    /// By number.
    models: Vec<Model>,
}

#[derive(Debug, Clone)]
struct Named {
    name: String,
    seat: Seat,
    /// Indices of the machine's accelerators, by the node's own.
    accelerators: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    /// One, but for a whole machine that has several.
    names: BTreeSet<String>,
    /// The least that one of them has.
    memory_bytes: u64,
}

impl Model {
    /// Whether every accelerator of it will do: which of them a worker gets is not told beforehand.
    fn is_right(&self, placing: &Placing) -> bool {
        self.names
            .iter()
            .all(|name| placing.accepts(name, self.memory_bytes))
    }
}

impl Floor {
    /// This machine as these nodes.
    pub fn of(machine: &Inventory, settings: &NodeSettings) -> Self {
        let mut floor = Self {
            levels: settings.levels.clone(),
            ..Self::default()
        };
        for (name, spec) in settings.in_force(machine) {
            let is_open = !settings.drained.contains(&name);
            let node = floor.node(name, spec, machine, is_open);
            floor.nodes.push(node);
        }
        floor
    }

    fn node(&mut self, name: String, spec: NodeSpec, machine: &Inventory, is_open: bool) -> Named {
        let find = |index: &u32| machine.accelerators.iter().find(|card| card.index == *index);
        // One that was taken out of the machine since is not handed out.
        let cards: Vec<_> = spec.accelerators.iter().filter_map(find).collect();
        let model = Model {
            names: cards.iter().map(|card| card.model.clone()).collect(),
            memory_bytes: cards.iter().map(|card| card.memory_bytes).min().unwrap_or(0),
        };
        let number = self.models.iter().position(|known| *known == model);
        let number = number.unwrap_or_else(|| {
            self.models.push(model);
            self.models.len() - 1
        });
        let domain = |level: &String| spec.stands_in.get(level).cloned().unwrap_or_default();
        Named {
            name,
            seat: Seat {
                node: Node {
                    model: u16::try_from(number).unwrap_or(NONE_SUCH),
                    cpu_milli: signed(spec.cpu_milli),
                    memory: signed(spec.memory_bytes),
                    accelerators: vec![WHOLE; cards.len()],
                    is_spot: spec.spot,
                },
                domains: self.levels.iter().map(domain).collect(),
                is_open,
            },
            accelerators: cards.iter().map(|card| card.index).collect(),
        }
    }

    /// The nodes, by number.
    pub fn seats(&self) -> Vec<Seat> {
        self.nodes.iter().map(|node| node.seat.clone()).collect()
    }

    /// Names of the nodes that take no new work.
    pub fn closed(&self) -> impl Iterator<Item = &str> {
        let closed = self.nodes.iter().filter(|node| !node.seat.is_open);
        closed.map(|node| node.name.as_str())
    }

    /// Models of accelerators that there are, by name.
    fn models(&self) -> BTreeSet<&str> {
        let names = self.models.iter().flat_map(|model| &model.names);
        names.map(String::as_str).collect()
    }

    /// Whether there is what is named, wherever it is free.
    pub fn check(&self, placing: &Placing) -> Result<(), JobsError> {
        let refuse = |field, reason: String| Err(JobsError::InvalidSpec { field, reason });
        for name in &placing.accelerator_models {
            let models = self.models();
            if !models.iter().any(|model| is_called(model, name)) {
                let there = match models.is_empty() {
                    true => "there are none at all".to_owned(),
                    false => {
                        let quoted = models.iter().map(|model| format!("'{model}'"));
                        format!("there are {}", text::list(quoted.collect()))
                    }
                };
                let reason = format!("there is no accelerator '{name}' here; {there}");
                return refuse("accelerator_model", reason);
            }
        }
        let with_cards = || self.models.iter().filter(|model| !model.names.is_empty());
        if !placing.accelerator_models.is_empty()
            && with_cards().all(|model| model.names.len() > 1 && !model.is_right(placing))
        {
            let reason = "the machine has accelerators of several models, and which of them a job gets is chosen by node: \
                          declare nodes of one model each with corliss admin nodes apply";
            return refuse("accelerator_model", reason.to_owned());
        }
        let largest = self
            .models
            .iter()
            .map(|model| model.memory_bytes)
            .max()
            .unwrap_or(0);
        if placing
            .accelerator_memory_bytes
            .is_some_and(|least| least > largest)
        {
            let reason = format!(
                "no accelerator here has more memory than {}",
                amount::memory(largest)
            );
            return refuse("accelerator_memory", reason);
        }
        if let Some(Nearness::Within(level) | Nearness::Near(level)) = &placing.near
            && !self.levels.contains(level)
        {
            let levels = match self.levels.is_empty() {
                true => "nodes stand in nothing here".to_owned(),
                false => format!("nodes stand in {}", text::list(self.levels.clone())),
            };
            return refuse("topology", format!("there is no level '{level}'; {levels}"));
        }
        Ok(())
    }

    /// A job as the policy knows it.
    pub fn gang(&self, asked: &Asked) -> Gang {
        let terms = &asked.terms;
        let is_preemptible = terms.is_preemptible.unwrap_or(false);
        let workers = asked.workers.max(1);
        Gang {
            job: asked.job.clone(),
            queue: terms.queue.clone(),
            user: terms.user.clone(),
            submitted: terms.since.unwrap_or(asked.created),
            not_before: terms.not_before,
            priority: terms.priority,
            is_preemptible,
            wanted: Wanted {
                ask: Ask {
                    cpu_milli: signed(asked.each.cpu_milli),
                    memory: signed(asked.each.memory_bytes),
                    share: match (asked.each.accelerators, terms.placing.accelerator_share) {
                        (0, Some(milli)) => Share::Part(milli),
                        (0, None) => Share::None,
                        (count, _) => Share::Whole(count),
                    },
                    models: self.models_for(asked),
                    avoids_spot: !is_preemptible,
                },
                least: workers,
                most: workers,
                topology: self.topology(terms.placing.near.as_ref()),
            },
            run_ms: asked.run_ms,
            served_ms: terms.served_ms.unwrap_or(0),
            deadline: terms.deadline,
        }
    }

    /// Numbers of the models that will do; empty for any.
    fn models_for(&self, asked: &Asked) -> BTreeSet<u16> {
        let placing = &asked.terms.placing;
        if placing.accelerator_models.is_empty() && placing.accelerator_memory_bytes.is_none() {
            return BTreeSet::new();
        }
        let numbered = (0_u16..).zip(&self.models);
        let right: BTreeSet<u16> = numbered
            .filter(|(_, model)| !model.names.is_empty() && model.is_right(placing))
            .map(|(number, _)| number)
            .collect();
        if right.is_empty() {
            return BTreeSet::from([NONE_SUCH]);
        }
        right
    }

    fn topology(&self, near: Option<&Nearness>) -> Topology {
        let level = |name: &String| {
            let place = self.levels.iter().position(|level| level == name);
            place.and_then(|place| u8::try_from(place).ok())
        };
        match near {
            None => Topology::Anywhere,
            Some(Nearness::Spread) => Topology::Spread,
            Some(Nearness::Within(name)) => Topology::Within(level(name).unwrap_or(u8::MAX)),
            // Where there is no such level any more, it is not what keeps a job from starting.
            Some(Nearness::Near(name)) => level(name).map_or(Topology::Anywhere, Topology::Near),
        }
    }

    /// Where each worker is, by rank. Workers of one node have ranks that follow each other.
    pub fn places(&self, spots: &[Spot]) -> Vec<Place> {
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        for (rank, spot) in spots.iter().enumerate() {
            first.entry(spot.node).or_insert(rank);
        }
        let mut ordered: Vec<&Spot> = spots.iter().collect();
        ordered.sort_by_key(|spot| first.get(&spot.node).copied());
        let place = |spot: &&Spot| {
            let node = self.nodes.get(spot.node as usize)?;
            let index = |own: &u32| node.accelerators.get(*own as usize).copied();
            Some(Place {
                node: node.name.clone(),
                accelerators: spot.accelerators.iter().filter_map(index).collect(),
            })
        };
        ordered.iter().filter_map(place).collect()
    }

    /// The places of a job of so many workers; one whose node is not there any more is held by nobody.
    pub fn spots(&self, places: &[Place], workers: u32) -> Vec<Spot> {
        let spot = |place: &Place| {
            let number = self.nodes.iter().position(|node| node.name == place.node)?;
            let own = &self.nodes.get(number)?.accelerators;
            let index = |index: &u32| own.iter().position(|known| known == index);
            let mine = place.accelerators.iter().filter_map(index);
            Some(Spot {
                node: u32::try_from(number).ok()?,
                accelerators: mine.filter_map(|place| u32::try_from(place).ok()).collect(),
            })
        };
        let places = places.iter().take(workers.max(1) as usize);
        places.filter_map(spot).collect()
    }
}

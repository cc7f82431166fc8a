//! Nodes with what is free of them, and where gangs are put among them.
//!
//! Nodes that are in the same state are one class: what a policy thinks of a node is computed once for all of them, and a
//! choice costs as many steps as there are different states.

mod domains;
mod gangs;

use std::collections::{BTreeMap, BTreeSet};

use domains::Domains;
pub use domains::Topology;
pub use gangs::Wanted;

use crate::nodes::{Ask, Node, Spot};
use crate::place::scores::{self, Ceiling};
use crate::place::{Mix, Placement};

/// More kinds of asks than are remembered.
const ASKS_MAX: usize = 256;
/// The class of a node that takes nothing new.
const NO_CLASS: u32 = u32::MAX;

/// A node's place in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// What it has.
    pub node: Node,
    /// Where it stands: names from the outermost level to the innermost, such as a row, a rack, an NVLink domain.
    pub domains: Vec<String>,
    /// Whether it takes new work. One that does not is expected to again: nobody is refused for it.
    pub is_open: bool,
}

impl Seat {
    /// An open node that stands nowhere in particular.
    #[must_use]
    pub const fn of(node: Node) -> Self {
        Self {
            node,
            domains: Vec::new(),
            is_open: true,
        }
    }
}

/// Nodes, what is free of them, and a policy that chooses among them.
#[derive(Debug, Clone)]
pub struct Cluster {
    placement: Placement,
    mix: Mix,
    ceiling: Ceiling,
    slots: Vec<Slot>,
    classes: Vec<Class>,
    /// Classes that nobody is in.
    vacant: Vec<u32>,
    by_state: BTreeMap<State, u32>,
    asks: BTreeMap<Ask, u32>,
    domains: Domains,
    models: BTreeSet<u16>,
    /// What is free of all open nodes together: CPUs, memory, accelerators.
    together: (i64, i64, i64),
}

#[derive(Debug, Clone)]
struct Slot {
    total: Node,
    state: State,
    /// How many workers of each size it has; kept for [`Placement::Clustering`] alone.
    workers: BTreeMap<u64, u32>,
    is_open: bool,
    class: u32,
}

/// What a choice depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    free: Node,
    /// Sizes of the work that the node has.
    sizes: u64,
}

#[derive(Debug, Clone)]
struct Class {
    state: State,
    members: BTreeSet<u32>,
    /// By kind of ask: what the policy thinks of it.
    known: Vec<Known>,
    /// Its fragmentation, once computed.
    fragments: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    NotYet,
    DoesNotFit,
    Fits(Score),
}

/// Less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    key: (i64, i64, i64),
    /// The accelerator of which a part is best taken; none where the policy does not mind.
    part_of: Option<u32>,
}

/// Which nodes may be chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Among<'a> {
    /// All.
    All,
    /// These, in rising order.
    These(&'a [u32]),
}

impl Cluster {
    /// Nodes on which nothing runs. `mix` says what is usually asked for, which [`Placement::Fgd`] keeps room for.
    #[must_use]
    pub fn new(placement: Placement, seats: impl IntoIterator<Item = Seat>, mix: Mix) -> Self {
        let seats: Vec<Seat> = seats.into_iter().collect();
        let mut cluster = Self {
            placement,
            mix,
            ceiling: Ceiling::of(seats.iter().map(|seat| &seat.node)),
            slots: Vec::with_capacity(seats.len()),
            classes: Vec::new(),
            vacant: Vec::new(),
            by_state: BTreeMap::new(),
            asks: BTreeMap::new(),
            domains: Domains::of(&seats),
            models: BTreeSet::new(),
            together: (0, 0, 0),
        };
        for (index, seat) in (0_u32..).zip(seats) {
            let state = State {
                free: seat.node.clone(),
                sizes: 0,
            };
            if !seat.node.accelerators.is_empty() {
                cluster.models.insert(seat.node.model);
            }
            cluster.slots.push(Slot {
                total: seat.node,
                state,
                workers: BTreeMap::new(),
                is_open: seat.is_open,
                class: NO_CLASS,
            });
            cluster.join(index);
        }
        cluster
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What a node has, and what of it is free.
    #[must_use]
    pub fn node(&self, index: u32) -> Option<(&Node, &Node)> {
        let slot = self.slots.get(index as usize)?;
        Some((&slot.total, &slot.state.free))
    }

    /// Whether a node takes new work.
    #[must_use]
    pub fn is_open(&self, index: u32) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| slot.is_open)
    }

    /// Models of accelerators that there are.
    pub fn models(&self) -> impl Iterator<Item = u16> + '_ {
        self.models.iter().copied()
    }

    /// What all nodes have that take new work.
    pub fn totals(&self) -> impl Iterator<Item = &Node> {
        let open = self.slots.iter().filter(|slot| slot.is_open);
        open.map(|slot| &slot.total)
    }

    /// What is free of each node that takes new work.
    pub fn free(&self) -> impl Iterator<Item = &Node> {
        let open = self.slots.iter().filter(|slot| slot.is_open);
        open.map(|slot| &slot.state.free)
    }

    /// What is free of all nodes together that take new work: CPUs, memory, accelerators.
    pub(crate) const fn free_together(&self) -> (i64, i64, i64) {
        self.together
    }

    /// How many workers of this ask fit on all nodes together.
    pub(crate) fn room_for(&self, ask: &Ask) -> u64 {
        let classes = self.by_state.iter().map(|(state, class)| {
            let members = self.classes[*class as usize].members.len() as u64;
            members.saturating_mul(state.free.room_for(ask).into())
        });
        classes.fold(0, u64::saturating_add)
    }

    /// The same nodes with nothing on them.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let mut emptied = self.clone();
        for index in 0..self.len() {
            emptied.change(index, |slot| {
                slot.workers.clear();
                slot.state = State {
                    free: slot.total.clone(),
                    sizes: 0,
                };
            });
        }
        emptied
    }

    /// Lets a node take new work, or no more of it; what is on it stays.
    pub(crate) fn set_open(&mut self, index: u32, is_open: bool) {
        self.change(index, |slot| slot.is_open = is_open);
    }

    /// Takes a spot that was chosen, or is known to be held.
    pub fn take(&mut self, ask: &Ask, spot: &Spot) {
        let counts = self.placement == Placement::Clustering;
        self.change(spot.node, |slot| {
            slot.state.free.take(ask, &spot.accelerators);
            if counts {
                *slot.workers.entry(scores::sizes(ask)).or_default() += 1;
                slot.recount();
            }
        });
    }

    /// Gives a spot back.
    pub fn give(&mut self, ask: &Ask, spot: &Spot) {
        self.change(spot.node, |slot| {
            slot.state.free.give(ask, &spot.accelerators);
            if let Some(count) = slot.workers.get_mut(&scores::sizes(ask)) {
                *count = count.saturating_sub(1);
                slot.recount();
            }
        });
    }

    /// Thousandths of accelerators that are free and of no use to what is usually asked for.
    #[must_use]
    pub fn fragments_milli(&self) -> i64 {
        let all: i64 = self.free().map(|node| self.mix.fragments(node)).sum();
        all / self.mix.weight()
    }

    /// Puts a worker somewhere; none where it fits nowhere. `random` are 64 random bits, for [`Placement::Random`].
    pub fn place_one(&mut self, ask: &Ask, random: u64) -> Option<Spot> {
        let spot = self.choose(ask, Among::All, &BTreeSet::new(), random)?;
        self.take(ask, &spot);
        Some(spot)
    }

    fn change(&mut self, index: u32, change: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        let class = std::mem::replace(&mut slot.class, NO_CLASS);
        if slot.is_open {
            let (cpu, memory, accelerators) = slot.state.free.amounts();
            self.together.0 -= cpu;
            self.together.1 -= memory;
            self.together.2 -= accelerators;
        }
        change(slot);
        if let Some(left) = self.classes.get_mut(class as usize) {
            left.members.remove(&index);
            if left.members.is_empty() {
                self.by_state.remove(&left.state);
                self.vacant.push(class);
            }
        }
        self.join(index);
    }

    fn join(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| slot.is_open) else {
            return;
        };
        let (cpu, memory, accelerators) = slot.state.free.amounts();
        self.together.0 += cpu;
        self.together.1 += memory;
        self.together.2 += accelerators;
        if let Some(class) = self.by_state.get(&slot.state) {
            slot.class = *class;
            if let Some(joined) = self.classes.get_mut(*class as usize) {
                joined.members.insert(index);
            }
            return;
        }
        let made = Class {
            state: slot.state.clone(),
            members: BTreeSet::from([index]),
            known: Vec::new(),
            fragments: None,
        };
        slot.class = match self.vacant.pop() {
            Some(vacant) => {
                self.classes[vacant as usize] = made;
                vacant
            }
            None => {
                self.classes.push(made);
                u32::try_from(self.classes.len() - 1).unwrap_or(NO_CLASS)
            }
        };
        self.by_state.insert(slot.state.clone(), slot.class);
    }

    fn kind(&mut self, ask: &Ask) -> u32 {
        if let Some(kind) = self.asks.get(ask) {
            return *kind;
        }
        if self.asks.len() == ASKS_MAX {
            self.asks.clear();
            for class in &mut self.classes {
                class.known.clear();
            }
        }
        let kind = u32::try_from(self.asks.len()).unwrap_or(u32::MAX);
        self.asks.insert(ask.clone(), kind);
        kind
    }

    /// The policy's choice among those nodes that the ask fits.
    fn choose(&mut self, ask: &Ask, among: Among<'_>, barred: &BTreeSet<u32>, random: u64) -> Option<Spot> {
        let kind = self.kind(ask);
        let Self {
            classes,
            by_state,
            slots,
            placement,
            mix,
            ceiling,
            ..
        } = self;
        let judge = Judge {
            placement: *placement,
            mix,
            ceiling: *ceiling,
        };
        let judge =
            |class: u32, classes: &mut Vec<Class>| judge.score(&mut classes[class as usize], kind, ask);
        if *placement == Placement::Random {
            let nodes: Vec<u32> = match among {
                Among::All => (0..u32::try_from(slots.len()).unwrap_or(u32::MAX)).collect(),
                Among::These(nodes) => nodes.to_vec(),
            };
            let fits = |node: &u32| {
                let class = slots.get(*node as usize).map_or(NO_CLASS, |slot| slot.class);
                class != NO_CLASS && !barred.contains(node) && judge(class, classes).is_some()
            };
            let fitting: Vec<u32> = nodes.into_iter().filter(fits).collect();
            let drawn = random.checked_rem(fitting.len() as u64)?;
            let node = *fitting.get(usize::try_from(drawn).ok()?)?;
            let accelerators = slots.get(node as usize)?.state.free.tightest(ask.share);
            return Some(Spot { node, accelerators });
        }
        let mut best: Option<(Score, u32)> = None;
        let mut consider = |score: Score, node: u32| {
            if best.is_none_or(|(least, first)| (score.key, node) < (least.key, first)) {
                best = Some((score, node));
            }
        };
        match among {
            Among::All => {
                for class in by_state.values() {
                    let mut members = classes[*class as usize].members.iter().copied();
                    if let Some(first) = members.find(|node| !barred.contains(node))
                        && let Some(score) = judge(*class, classes)
                    {
                        consider(score, first);
                    }
                }
            }
            Among::These(nodes) => {
                for node in nodes.iter().filter(|node| !barred.contains(node)) {
                    let class = slots.get(*node as usize).map_or(NO_CLASS, |slot| slot.class);
                    if class != NO_CLASS
                        && let Some(score) = judge(class, classes)
                    {
                        consider(score, *node);
                    }
                }
            }
        }
        let (score, node) = best?;
        let accelerators = match score.part_of {
            Some(part_of) => vec![part_of],
            None => slots.get(node as usize)?.state.free.tightest(ask.share),
        };
        Some(Spot { node, accelerators })
    }
}

impl Slot {
    fn recount(&mut self) {
        self.workers.retain(|_, count| *count > 0);
        self.state.sizes = self.workers.keys().fold(0, |sizes, size| sizes | size);
    }
}

struct Judge<'a> {
    placement: Placement,
    mix: &'a Mix,
    ceiling: Ceiling,
}

impl Judge<'_> {
    fn score(&self, class: &mut Class, kind: u32, ask: &Ask) -> Option<Score> {
        let kind = kind as usize;
        if class.known.len() <= kind {
            class.known.resize(kind + 1, Known::NotYet);
        }
        if matches!(class.known[kind], Known::NotYet) {
            class.known[kind] = match class.state.free.fits(ask) {
                true => Known::Fits(self.judge(class, ask)),
                false => Known::DoesNotFit,
            };
        }
        match class.known[kind] {
            Known::Fits(score) => Some(score),
            Known::NotYet | Known::DoesNotFit => None,
        }
    }

    fn judge(&self, class: &mut Class, ask: &Ask) -> Score {
        let State { free, sizes } = &class.state;
        let key = match self.placement {
            Placement::Random | Placement::FirstFit => 0,
            Placement::BestFit => self.ceiling.left(free, ask),
            Placement::DotProduct => self.ceiling.alike(free, ask),
            Placement::Packing => scores::packing(free, ask),
            Placement::Clustering => scores::unlike(*sizes, free, ask),
            Placement::Fgd => {
                let now = *class.fragments.get_or_insert_with(|| self.mix.fragments(free));
                let growth = self.mix.growth(free, now, ask);
                return Score {
                    key: (growth.steps, free.accelerator_milli(), free.cpu_milli),
                    part_of: growth.part_of,
                };
            }
        };
        Score {
            key: (key, 0, 0),
            part_of: None,
        }
    }
}

#[cfg(test)]
mod tests;

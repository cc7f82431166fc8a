//! Queues within queues: who may use how much, who borrows from whom, and whose turn it is.
//!
//! Quotas are those of a tree of cohorts. A queue's own quota and what its children have is what its subtree has; of that
//! the lending limit says how much others may use, and the borrowing limit how much of others' it may use. Below, whatever
//! is used beyond what is kept for a queue alone is used of its parent's.

mod quota;
mod share;

use std::collections::BTreeMap;

pub use quota::{Cap, Demand, Dimension, Quota};
use serde::{Deserialize, Serialize};
pub use share::{Decay, Used};

use crate::order::Order;

/// A queue as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name; one of a kind.
    pub name: String,
    /// The queue that it is a part of.
    pub parent: Option<String>,
    /// Its share beside its siblings; 0 counts as 1.
    pub weight: u32,
    /// Who goes first in it, among those of one priority.
    pub order: Order,
    /// Whether users of one priority take turns before that, whoever has had the least first.
    pub is_fair: bool,
    /// Who may go before one that does not fit yet.
    pub overtaking: Overtaking,
    /// What it has. Where nobody of its tree has a quota of something, there is no limit to it.
    pub quotas: Vec<Quota>,
    /// The most that each user may hold in it and below it.
    pub per_user: Vec<Cap>,
    /// Whose places its gangs may take.
    pub preempts: Preempts,
}

/// Who may go before one of the same queue that does not fit yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overtaking {
    /// Nobody.
    #[default]
    Never,
    /// Who does not make it wait longer, as far as it is known how long gangs run.
    Backfill,
    /// Who fits, until it has waited too long.
    Free,
}

impl Overtaking {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Never, Self::Backfill, Self::Free];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Backfill => "backfill",
            Self::Free => "free",
        }
    }
}

/// Whose places a queue's gangs may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preempts {
    /// Those of the same queue that are of a lower priority, or go after it in an order that preempts.
    pub lower: bool,
    /// Those that use what this queue has a quota of.
    pub borrowers: bool,
    /// Those of queues that have had more than their share, if not too often.
    pub favoured: bool,
}

impl Preempts {
    /// Whether it takes any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.lower || self.borrowers || self.favoured
    }
}

impl Queue {
    /// A queue without limits.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            parent: None,
            weight: 1,
            order: Order::Fifo,
            is_fair: false,
            overtaking: Overtaking::Never,
            quotas: Vec::new(),
            per_user: Vec::new(),
            preempts: Preempts::default(),
        }
    }
}

/// All queues, with what is used of each.
#[derive(Debug, Clone, Default)]
pub struct Queues {
    queues: Vec<Entry>,
    by_name: BTreeMap<String, usize>,
    /// Those without a parent.
    roots: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Entry {
    spec: Queue,
    parent: Option<usize>,
    children: Vec<usize>,
    quotas: quota::Ledger,
    used: Used,
    /// By user: what each holds here and below; only where users have caps.
    by_user: BTreeMap<String, Demand>,
    /// By user: what each has had here.
    users: BTreeMap<String, Used>,
}

/// Why quotas do not let a gang in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum OverQuota {
    /// What the queue may use, its own and what it may borrow, is too little now.
    Queue {
        /// Of what.
        dimension: Dimension,
        /// How much more it would use.
        wanted: i64,
        /// How much more it may.
        available: i64,
        /// The queue's own quota with what is below it.
        quota: i64,
    },
    /// The user may hold no more.
    User {
        /// The queue that says so.
        queue: String,
        /// Of what.
        dimension: Dimension,
        /// What the user would hold.
        wanted: i64,
        /// The most.
        most: i64,
    },
}

impl Queues {
    /// These queues, of which nothing is used. Of two with one name the first counts; a parent that is not there, or that
    /// is below its own child, counts as none.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = Queue>) -> Self {
        let mut queues = Self::default();
        for spec in specs {
            if queues.by_name.contains_key(&spec.name) {
                continue;
            }
            queues.by_name.insert(spec.name.clone(), queues.queues.len());
            queues.queues.push(Entry {
                quotas: quota::Ledger::of(&spec.quotas),
                spec,
                parent: None,
                children: Vec::new(),
                used: Used::default(),
                by_user: BTreeMap::new(),
                users: BTreeMap::new(),
            });
        }
        for index in 0..queues.queues.len() {
            let parent = queues.queues[index]
                .spec
                .parent
                .as_deref()
                .and_then(|name| queues.index(name));
            let is_below = |parent: usize| queues.path(parent).any(|above| above == index);
            match parent.filter(|parent| !is_below(*parent)) {
                Some(parent) => {
                    queues.queues[index].parent = Some(parent);
                    queues.queues[parent].children.push(index);
                }
                None => queues.roots.push(index),
            }
        }
        queues.spread_quotas();
        queues
    }

    /// The place of a queue in the list.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A queue as it is declared.
    #[must_use]
    pub fn spec(&self, index: usize) -> Option<&Queue> {
        self.queues.get(index).map(|entry| &entry.spec)
    }

    /// Every queue, by its place.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Queue)> {
        self.queues.iter().map(|entry| &entry.spec).enumerate()
    }

    /// The queue and all above it, from below.
    pub(crate) fn path(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(index), |index| self.queues.get(*index)?.parent)
    }

    /// The outermost queue of its tree.
    pub(crate) fn root(&self, index: usize) -> usize {
        self.path(index).last().unwrap_or(index)
    }

    /// The child of `above` that `index` is or is below; where `above` is none, its root.
    pub(crate) fn below(&self, above: Option<usize>, index: usize) -> Option<usize> {
        self.path(index).find(|at| self.queues[*at].parent == above)
    }

    pub(crate) fn children(&self, above: Option<usize>) -> &[usize] {
        above.map_or(&self.roots, |index| &self.queues[index].children)
    }

    /// What a queue or, in it, a user has been charged, for every part of its weight.
    pub(crate) fn charged(&self, index: usize, decay: &Decay, now_ms: i64) -> f64 {
        let entry = &self.queues[index];
        entry.used.charged(decay, now_ms) / f64::from(entry.spec.weight.max(1))
    }

    /// What a user has been charged in this queue.
    pub(crate) fn user_charged(&self, index: usize, user: &str, decay: &Decay, now_ms: i64) -> f64 {
        let used = self.queues[index].users.get(user);
        used.map_or(0.0, |used| used.charged(decay, now_ms))
    }

    /// A gang of this queue and user takes up what it holds, which is so much of the whole (in parts of 2^32).
    pub(crate) fn begin(
        &mut self,
        index: usize,
        user: &str,
        demand: &Demand,
        parts: u64,
        decay: &Decay,
        now_ms: i64,
    ) {
        self.charge(index, user, demand, 1);
        self.of_all_above(index, |entry| entry.used.begin(parts, decay, now_ms));
        let users = &mut self.queues[index].users;
        users
            .entry(user.to_owned())
            .or_default()
            .begin(parts, decay, now_ms);
    }

    /// It gives it back.
    pub(crate) fn end(
        &mut self,
        index: usize,
        user: &str,
        demand: &Demand,
        parts: u64,
        decay: &Decay,
        now_ms: i64,
    ) {
        self.charge(index, user, demand, -1);
        self.of_all_above(index, |entry| entry.used.end(parts, decay, now_ms));
        if let Some(used) = self.queues[index].users.get_mut(user) {
            used.end(parts, decay, now_ms);
        }
    }

    /// The queue and all above it, from below.
    fn of_all_above(&mut self, index: usize, mut change: impl FnMut(&mut Entry)) {
        let mut at = Some(index);
        while let Some(entry) = at.and_then(|index| self.queues.get_mut(index)) {
            change(entry);
            at = entry.parent;
        }
    }

    /// Whether the queue stays within its own quota with this gang, wherever it has one.
    pub(crate) fn stays_within(&self, index: usize, demand: &Demand) -> bool {
        let ledger = &self.queues[index].quotas;
        let within = |(dimension, wanted): (Dimension, i64)| {
            !self.is_limited(index, dimension)
                || ledger.usage(dimension).saturating_add(wanted) <= ledger.subtree(dimension)
        };
        demand.parts().all(within)
    }

    /// Whether the queue uses more than its own quota of anything that is in this demand.
    pub(crate) fn borrows(&self, index: usize, demand: &Demand) -> bool {
        let ledger = &self.queues[index].quotas;
        let mut parts = demand.parts();
        parts.any(|(dimension, _)| {
            self.is_limited(index, dimension) && ledger.usage(dimension) > ledger.subtree(dimension)
        })
    }

    /// Models of accelerators that somebody of the queue's tree has a quota of.
    pub(crate) fn limited_models(&self, index: usize) -> Vec<u16> {
        self.queues[self.root(index)].quotas.models().collect()
    }

    /// What a gang would be too much for: of this user beside all that is held, or, without a user, alone. None if nothing.
    pub(crate) fn refuses(&self, index: usize, user: Option<&str>, demand: &Demand) -> Option<OverQuota> {
        for (dimension, wanted) in demand.parts() {
            let available = self.available(index, dimension, user.is_some());
            if wanted > available {
                return Some(OverQuota::Queue {
                    dimension,
                    wanted,
                    available: available.max(0),
                    quota: self.queues[index].quotas.subtree(dimension),
                });
            }
        }
        for at in self.path(index) {
            let entry = &self.queues[at];
            let held = user.and_then(|user| entry.by_user.get(user));
            for cap in entry
                .spec
                .per_user
                .iter()
                .filter(|cap| demand.of(cap.dimension) > 0)
            {
                let held = held.map_or(0, |held| held.of(cap.dimension));
                let wanted = held.saturating_add(demand.of(cap.dimension));
                if wanted > cap.most {
                    return Some(OverQuota::User {
                        queue: entry.spec.name.clone(),
                        dimension: cap.dimension,
                        wanted,
                        most: cap.most,
                    });
                }
            }
        }
        None
    }

    /// What is held in parts of 2^32 of the whole, for every part of the queue's weight.
    pub(crate) fn held(&self, index: usize) -> (u64, u32) {
        let entry = &self.queues[index];
        (entry.used.held(), entry.spec.weight.max(1))
    }

    /// Whether the queue uses more than its own quota of anything.
    pub(crate) fn borrows_any(&self, index: usize) -> bool {
        self.queues[index].quotas.is_over()
    }

    fn is_limited(&self, index: usize, dimension: Dimension) -> bool {
        self.queues[self.root(index)].quotas.is_limited(dimension)
    }

    /// How much more of something the queue may use; beside what is held, or if nothing were.
    fn available(&self, index: usize, dimension: Dimension, beside_held: bool) -> i64 {
        if !self.is_limited(index, dimension) {
            return i64::MAX;
        }
        let entry = &self.queues[index];
        let above = entry
            .parent
            .map(|parent| self.available(parent, dimension, beside_held));
        entry.quotas.available(dimension, above, beside_held)
    }

    fn charge(&mut self, index: usize, user: &str, demand: &Demand, sign: i64) {
        for (dimension, amount) in demand.parts() {
            if !self.is_limited(index, dimension) {
                continue;
            }
            let mut more = amount * sign;
            self.of_all_above(index, |entry| more = entry.quotas.charge(dimension, more));
        }
        self.of_all_above(index, |entry| {
            if entry.spec.per_user.is_empty() {
                return;
            }
            let held = entry.by_user.entry(user.to_owned()).or_default();
            held.add(demand, sign);
            if held.is_nothing() {
                entry.by_user.remove(user);
            }
        });
    }

    /// What each queue's subtree has, from below; and at the roots, of what there are quotas at all.
    fn spread_quotas(&mut self) {
        let mut order: Vec<usize> = Vec::with_capacity(self.queues.len());
        let mut next = self.roots.clone();
        while let Some(index) = next.pop() {
            order.push(index);
            next.extend(&self.queues[index].children);
        }
        for index in order.into_iter().rev() {
            if let Some(parent) = self.queues[index].parent {
                let lent = self.queues[index].quotas.lends();
                self.queues[parent].quotas.borrow_from(lent);
            }
        }
    }
}

#[cfg(test)]
mod tests;

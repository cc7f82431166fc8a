//! Quotas: what a queue has, what it lends and borrows, what of it is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a quota is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Thousandths of a CPU.
    Cpu,
    /// Memory, in the nodes' unit.
    Memory,
    /// Thousandths of an accelerator, of whatever model.
    Accelerators,
    /// Thousandths of an accelerator of this model.
    Model(u16),
}

/// What a queue has of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub dimension: Dimension,
    /// How much is its own.
    pub nominal: i64,
    /// How much more it may use of what others do not; none for no limit.
    pub borrows: Option<i64>,
    /// How much of its own, and of what is below it, others may use; none for all.
    pub lends: Option<i64>,
}

/// The most of something that a user may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Of what.
    pub dimension: Dimension,
    /// How much.
    pub most: i64,
}

/// What a gang holds, all workers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Thousandths of a CPU.
    pub cpu_milli: i64,
    /// Memory, in the nodes' unit.
    pub memory: i64,
    /// Thousandths of accelerators.
    pub accelerator_milli: i64,
    /// The model of those; none where they are of none or not known yet.
    pub model: Option<u16>,
}

impl Demand {
    /// What it holds of something.
    #[must_use]
    pub fn of(&self, dimension: Dimension) -> i64 {
        match dimension {
            Dimension::Cpu => self.cpu_milli,
            Dimension::Memory => self.memory,
            Dimension::Accelerators => self.accelerator_milli,
            Dimension::Model(model) if self.model == Some(model) => self.accelerator_milli,
            Dimension::Model(_) => 0,
        }
    }

    /// Everything that it holds more than nothing of.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Dimension, i64)> {
        let dimensions = [Dimension::Cpu, Dimension::Memory, Dimension::Accelerators];
        let dimensions = dimensions.into_iter().chain(self.model.map(Dimension::Model));
        let parts = dimensions.map(|dimension| (dimension, self.of(dimension)));
        parts
            .filter(|(_, amount)| *amount > 0)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Sums what users hold, whose models differ: these are told by [`Dimension::Accelerators`] alone.
    pub(super) const fn add(&mut self, other: &Self, sign: i64) {
        self.cpu_milli += other.cpu_milli * sign;
        self.memory += other.memory * sign;
        self.accelerator_milli += other.accelerator_milli * sign;
    }

    pub(super) const fn is_nothing(&self) -> bool {
        self.cpu_milli == 0 && self.memory == 0 && self.accelerator_milli == 0
    }
}

/// What one queue has and uses.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(BTreeMap<Dimension, Account>);

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Its own, and what it has of those below.
    subtree: i64,
    borrows: Option<i64>,
    lends: Option<i64>,
    usage: i64,
}

impl Account {
    /// What nobody else may use.
    fn kept(&self) -> i64 {
        self.lends.map_or(0, |lends| (self.subtree - lends).max(0))
    }
}

impl Ledger {
    pub(super) fn of(quotas: &[Quota]) -> Self {
        let accounts = quotas.iter().map(|quota| {
            let account = Account {
                subtree: quota.nominal.max(0),
                borrows: quota.borrows,
                lends: quota.lends,
                usage: 0,
            };
            (quota.dimension, account)
        });
        Self(accounts.collect())
    }

    pub(super) fn is_limited(&self, dimension: Dimension) -> bool {
        self.0.contains_key(&dimension)
    }

    pub(super) fn models(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.keys().filter_map(|dimension| match dimension {
            Dimension::Model(model) => Some(*model),
            _ => None,
        })
    }

    pub(super) fn subtree(&self, dimension: Dimension) -> i64 {
        self.0.get(&dimension).map_or(0, |account| account.subtree)
    }

    pub(super) fn usage(&self, dimension: Dimension) -> i64 {
        self.0.get(&dimension).map_or(0, |account| account.usage)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.values().any(|account| account.usage > account.subtree)
    }

    /// What it gives those above it.
    pub(super) fn lends(&self) -> Vec<(Dimension, i64)> {
        let lent = self.0.iter();
        lent.map(|(dimension, account)| (*dimension, account.subtree - account.kept()))
            .collect()
    }

    pub(super) fn borrow_from(&mut self, lent: Vec<(Dimension, i64)>) {
        for (dimension, amount) in lent {
            self.0.entry(dimension).or_default().subtree += amount;
        }
    }

    /// How much more may be used, where so much is available above; beside what is used, or if nothing were.
    pub(super) fn available(&self, dimension: Dimension, above: Option<i64>, beside_usage: bool) -> i64 {
        let mut account = self.0.get(&dimension).copied().unwrap_or_default();
        if !beside_usage {
            account.usage = 0;
        }
        let Some(above) = above else {
            return account.subtree - account.usage;
        };
        let kept = account.kept();
        let of_above = account.borrows.map_or(above, |borrows| {
            let lent = account.subtree - kept;
            let used_above = (account.usage - kept).max(0);
            above.min(lent - used_above + borrows)
        });
        (kept - account.usage).max(0) + of_above
    }

    /// Uses so much more, or less; answers how much more of that is used of what is above.
    pub(super) fn charge(&mut self, dimension: Dimension, more: i64) -> i64 {
        let account = self.0.entry(dimension).or_default();
        let kept = account.kept();
        let before = (account.usage - kept).max(0);
        account.usage += more;
        (account.usage - kept).max(0) - before
    }
}

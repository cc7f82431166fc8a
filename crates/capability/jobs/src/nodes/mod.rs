//! The nodes that this machine acts as, as people declare them, held to what can be true before they are kept.

mod floor;

use std::collections::{BTreeMap, BTreeSet};

use corliss_diagnostics::nearest;
use corliss_executor::inventory::Inventory;
use corliss_types::{Accelerator, Resources, amount};
use serde::{Deserialize, Serialize};

use crate::queues::{NAME_MAX, is_name};
use crate::{JobsError, text};

pub(crate) use floor::Floor;

/// The machine's only node where none are declared.
pub const LOCAL_NODE: &str = "local";

const NODES_MAX: usize = 1_000;
const LEVELS_MAX: usize = 4;

/// All nodes. Together they have no more than the machine; what is in none of them is not used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// What nodes stand in, the outermost first, such as row, rack and NVLink domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// By name. Without any, the machine is one node, `local`.
    #[serde(default)]
    pub nodes: BTreeMap<String, NodeSpec>,
    /// Nodes that take no new work. Where none is named, those that took none before go on so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub drained: BTreeSet<String>,
}

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Bytes.
    pub memory_bytes: u64,
    /// Indices of the machine's accelerators that are the node's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accelerators: Vec<u32>,
    /// Where it stands: the name of its row, rack and so on, by level.
    #[serde(default, rename = "in", skip_serializing_if = "BTreeMap::is_empty")]
    pub stands_in: BTreeMap<String, String>,
    /// Whether it may be taken away at short notice; then only jobs that may be stopped are put there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spot: bool,
}

impl NodeSettings {
    /// Whether these can be the nodes of this machine.
    ///
    /// # Errors
    /// They cannot; the error names the field.
    pub fn check(&self, machine: &Inventory) -> Result<(), JobsError> {
        if self.nodes.len() > NODES_MAX {
            let reason = format!("there are {}, {NODES_MAX} are possible", self.nodes.len());
            return refuse("nodes", reason);
        }
        self.check_levels()?;
        let mut owner: BTreeMap<u32, &str> = BTreeMap::new();
        for (name, node) in &self.nodes {
            self.check_node(name, node)?;
            let cards = cards(name, node, machine)?;
            for index in cards.keys() {
                if let Some(other) = owner.insert(*index, name) {
                    let reason = format!("accelerator {index} is in node '{other}' already");
                    return refuse(&format!("nodes.{name}.accelerators"), reason);
                }
            }
        }
        self.check_sums(&machine.total)?;
        for name in &self.drained {
            if !self.is_known(name) {
                let near = nearest(name, self.names());
                let hint = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
                return refuse("drained", format!("there is no node '{name}'{hint}"));
            }
        }
        Ok(())
    }

    fn check_levels(&self) -> Result<(), JobsError> {
        if self.levels.len() > LEVELS_MAX {
            let reason = format!("there are {}, {LEVELS_MAX} are possible", self.levels.len());
            return refuse("levels", reason);
        }
        for (place, level) in self.levels.iter().enumerate() {
            check_name("levels", level)?;
            if self.levels.iter().take(place).any(|other| other == level) {
                return refuse("levels", format!("'{level}' is there twice"));
            }
        }
        Ok(())
    }

    fn check_node(&self, name: &str, node: &NodeSpec) -> Result<(), JobsError> {
        let field = format!("nodes.{name}");
        check_name(&field, name)?;
        for level in &self.levels {
            match node.stands_in.get(level) {
                Some(place) => check_name(&format!("{field}.in.{level}"), place)?,
                None => {
                    let reason = format!("it does not say which {level} the node is in");
                    return refuse(&format!("{field}.in"), reason);
                }
            }
        }
        match node.stands_in.keys().find(|level| !self.levels.contains(level)) {
            Some(level) => refuse(
                &format!("{field}.in"),
                format!("'{level}' is none of the levels: name it under levels, the outermost first"),
            ),
            None => Ok(()),
        }
    }

    fn check_sums(&self, total: &Resources) -> Result<(), JobsError> {
        let sum = |of: fn(&NodeSpec) -> u64| self.nodes.values().map(of).fold(0_u64, u64::saturating_add);
        let cpu_milli = sum(|node| node.cpu_milli);
        let memory_bytes = sum(|node| node.memory_bytes);
        let over = |sum: String, has: String| {
            let reason = format!(
                "together they have {sum} and the machine has {has}; \
                 more can be declared for it under [machine] in its settings"
            );
            refuse("nodes", reason)
        };
        if cpu_milli > total.cpu_milli {
            let told = amount::cpus_in_words;
            return over(told(cpu_milli), told(total.cpu_milli));
        }
        if memory_bytes > total.memory_bytes {
            let sum = format!("{} of memory", amount::memory(memory_bytes));
            return over(sum, amount::memory(total.memory_bytes));
        }
        Ok(())
    }

    /// These, and where they name no node that takes no new work, those of `before` that are still there.
    #[must_use]
    pub(crate) fn keeping(mut self, before: &Self) -> Self {
        if self.drained.is_empty() {
            let drained = before.drained.iter().filter(|name| self.is_known(name));
            self.drained = drained.cloned().collect();
        }
        self
    }

    /// Whether there is such a node.
    #[must_use]
    pub fn is_known(&self, name: &str) -> bool {
        self.nodes.contains_key(name) || (self.nodes.is_empty() && name == LOCAL_NODE)
    }

    /// Every node's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let local = self.nodes.is_empty().then_some(LOCAL_NODE);
        self.nodes.keys().map(String::as_str).chain(local)
    }

    /// The nodes as they are used: those that are declared, or the machine as one.
    pub(crate) fn in_force(&self, machine: &Inventory) -> BTreeMap<String, NodeSpec> {
        if !self.nodes.is_empty() {
            return self.nodes.clone();
        }
        let whole = NodeSpec {
            cpu_milli: machine.total.cpu_milli,
            memory_bytes: machine.total.memory_bytes,
            accelerators: machine.accelerators.iter().map(|card| card.index).collect(),
            ..NodeSpec::default()
        };
        BTreeMap::from([(LOCAL_NODE.to_owned(), whole)])
    }
}

/// The node's accelerators, by index: each is there, once, and all are of one model.
fn cards<'a>(
    name: &str,
    node: &NodeSpec,
    machine: &'a Inventory,
) -> Result<BTreeMap<u32, &'a Accelerator>, JobsError> {
    let field = format!("nodes.{name}.accelerators");
    let mut cards: BTreeMap<u32, &Accelerator> = BTreeMap::new();
    for index in &node.accelerators {
        let Some(card) = machine.accelerators.iter().find(|card| card.index == *index) else {
            let reason = match machine.accelerators.len() {
                0 => format!(
                    "there is no accelerator {index}: this machine has none; some can be declared under [machine] in its settings"
                ),
                _ => format!(
                    "there is no accelerator {index}; the machine's are {}",
                    text::list(
                        machine
                            .accelerators
                            .iter()
                            .map(|card| card.index.to_string())
                            .collect()
                    )
                ),
            };
            return refuse(&field, reason);
        };
        if cards.insert(*index, card).is_some() {
            return refuse(&field, format!("{index} is there twice"));
        }
    }
    let mut models = cards.values().map(|card| card.model.as_str());
    if let Some(first) = models.next()
        && let Some(other) = models.find(|model| *model != first)
    {
        let reason = format!("'{first}' and '{other}' are two models: the accelerators of a node are of one");
        return refuse(&field, reason);
    }
    Ok(cards)
}

fn check_name(field: &str, name: &str) -> Result<(), JobsError> {
    if is_name(name) {
        return Ok(());
    }
    let reason = format!(
        "'{name}' is no name: a letter or digit, then letters, digits, '_' or '-', {NAME_MAX} characters at most"
    );
    refuse(field, reason)
}

fn refuse<T>(field: &str, reason: String) -> Result<T, JobsError> {
    Err(JobsError::InvalidNodes {
        field: field.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests;

//! What this machine has to hand out: CPUs, memory and accelerators, as the limits on this very process
//! leave them, or as declared in the configuration.

mod accelerators;
mod limits;

use corliss_types::{Accelerator, Resources};
use serde::{Deserialize, Serialize};

pub use accelerators::{AcceleratorProbe, NvmlProbe};

/// What a configuration may declare instead of what is found; each part replaces the found one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredInventory {
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Accelerators; an empty list hides those that are there.
    pub accelerators: Option<Vec<Accelerator>>,
}

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InventorySource {
    /// All of it was found on this machine.
    Machine,
    /// Some of it was declared in the configuration.
    Declared,
}

/// What there is to hand out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// As amounts.
    pub total: Resources,
    /// The accelerators one by one, by rising index.
    pub accelerators: Vec<Accelerator>,
    /// Found or declared.
    pub source: InventorySource,
    /// Sentences for the person who wonders why it is so little.
    pub notes: Vec<String>,
}

impl Inventory {
    /// Finds what there is; reads files under /proc and /sys and asks the probe.
    #[must_use]
    pub fn detect(declared: &DeclaredInventory, probe: &dyn AcceleratorProbe) -> Self {
        let mut notes = Vec::new();
        let mut accelerators = match &declared.accelerators {
            Some(list) => list.clone(),
            None => probe.list().unwrap_or_else(|reason| {
                notes.push(format!("no accelerators are used: {reason}"));
                Vec::new()
            }),
        };
        accelerators.sort_by_key(|accelerator| accelerator.index);
        accelerators.dedup_by_key(|accelerator| accelerator.index);
        let total = Resources {
            cpu_milli: declared
                .cpu_milli
                .unwrap_or_else(|| limits::cpu_milli(&mut notes)),
            memory_bytes: declared
                .memory_bytes
                .unwrap_or_else(|| limits::memory_bytes(&mut notes)),
            accelerators: u32::try_from(accelerators.len()).unwrap_or(u32::MAX),
        };
        let source = if *declared == DeclaredInventory::default() {
            InventorySource::Machine
        } else {
            InventorySource::Declared
        };
        Self {
            total,
            accelerators,
            source,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoDriver;
    impl AcceleratorProbe for NoDriver {
        fn list(&self) -> Result<Vec<Accelerator>, String> {
            Err("no driver".to_owned())
        }
    }

    #[test]
    fn this_machine_has_something() {
        let found = Inventory::detect(&DeclaredInventory::default(), &NoDriver);
        assert!(found.total.cpu_milli >= 10 && found.total.memory_bytes > 1 << 20);
        assert_eq!(found.source, InventorySource::Machine);
        assert_eq!(found.notes.last().unwrap(), "no accelerators are used: no driver");
    }

    #[test]
    fn declared_parts_replace_found_ones_and_say_so() {
        let card = |index| Accelerator {
            index,
            uuid: format!("D-{index}"),
            model: "test".into(),
            memory_bytes: 1,
        };
        let declared = DeclaredInventory {
            cpu_milli: Some(64_000),
            memory_bytes: None,
            accelerators: Some(vec![card(1), card(0), card(1)]),
        };
        let found = Inventory::detect(&declared, &NoDriver);
        assert_eq!((found.total.cpu_milli, found.total.accelerators), (64_000, 2));
        assert_eq!(found.accelerators[0].index, 0);
        assert_eq!(found.source, InventorySource::Declared);
    }
}

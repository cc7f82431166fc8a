//! What a task asks for and a machine has, in integers: milli-CPUs, bytes, whole accelerators.

use serde::{Deserialize, Serialize};

/// Thousandths of one CPU.
pub type MilliCpu = u64;

/// A request, or an amount still free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub cpu_milli: MilliCpu,
    /// Bytes of main memory.
    pub memory_bytes: u64,
    /// Whole accelerators.
    pub accelerators: u32,
}

impl Resources {
    /// Whether this request fits into `free` in every dimension.
    #[must_use]
    pub fn fits(&self, free: &Self) -> bool {
        self.cpu_milli <= free.cpu_milli
            && self.memory_bytes <= free.memory_bytes
            && self.accelerators <= free.accelerators
    }

    /// The sum, dimension by dimension; saturates.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_add(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            accelerators: self.accelerators.saturating_add(other.accelerators),
        }
    }

    /// The difference, dimension by dimension; zero where it would be negative.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_sub(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            accelerators: self.accelerators.saturating_sub(other.accelerators),
        }
    }

    /// This request `count` times over; saturates.
    #[must_use]
    pub fn times(&self, count: u32) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_mul(u64::from(count)),
            memory_bytes: self.memory_bytes.saturating_mul(u64::from(count)),
            accelerators: self.accelerators.saturating_mul(count),
        }
    }
}

/// One accelerator as its driver reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// Index on this machine.
    pub index: u32,
    /// The driver's stable identifier.
    pub uuid: String,
    /// Product name.
    pub model: String,
    /// Device memory in bytes.
    pub memory_bytes: u64,
}

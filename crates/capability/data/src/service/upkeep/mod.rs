//! Keeping the store of bytes small and sound: collecting what nothing refers to, and checking what is there.

mod check;
mod collect;
mod prune;
mod repair;
mod usage;

pub use check::{DamagedFile, DataCheck};
pub use collect::{CollectWish, Collected};
pub use repair::DataRepair;
pub use usage::StorageUsage;

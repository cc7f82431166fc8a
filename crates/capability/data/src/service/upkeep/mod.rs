//! Keeping the store of bytes small and sound: collecting what nothing refers to, and checking what is there.

mod check;
mod collect;
mod linked;
mod prune;
mod repair;
mod usage;

pub use check::{DamagedFile, DataCheck};
pub use collect::{CollectWish, Collected};
pub(crate) use linked::Examined;
pub(in crate::service) use linked::Summed;
pub use linked::{BrokenLink, LinkCheck, LinkedUsage, UnaskedSource};
pub use repair::DataRepair;
pub use usage::StorageUsage;

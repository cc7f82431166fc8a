//! Keeping the store of bytes small and sound: collecting what nothing refers to, and checking what is there.

mod check;
mod collect;
mod collect_remote;
mod damage;
mod linked;
mod prune;
mod repair;
mod scrub;
mod usage;

pub use check::DataCheck;
pub use collect::{CollectWish, Collected};
pub use damage::{DamagedPath, DamagedVersion};
pub(crate) use linked::Examined;
pub(in crate::service) use linked::Summed;
pub use linked::{BrokenLink, LinkCheck, LinkedUsage, UnaskedSource};
pub use repair::DataRepair;
pub(crate) use scrub::Scrub;
pub use usage::StorageUsage;

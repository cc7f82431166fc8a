//! Keys that data is encrypted with, and the keys that keep those: a root key wraps a tenant's key, the
//! tenant's key wraps data keys, data keys seal bytes.
//!
//! The root key is in a file of this machine, or stays in Vault or OpenBao, which wraps and unwraps. Changing
//! it, who keeps it or a tenant's key rewraps the keys below and touches no data. Destroying a tenant's keys
//! makes all that it ever stored unreadable; with the root keys that wrapped them retired, backups included.
//!
//! Invariants:
//! - No key is ever written in the clear but the root key, in its own file of mode 0600.
//! - A wrapped key opens only as what it was wrapped as: tenant, level and number are authenticated.
//! - Data keys are never removed one by one: what a key sealed may lie anywhere.
//! - What replaces wrapped keys was opened before, and replaces them in one write.

mod error;
mod file;
mod key;
mod ring;
mod root;
mod transit;

pub use error::KeyError;
pub use file::FileRootKey;
pub use key::{KeyBytes, SealKey};
pub use ring::{Destroyed, Keyring, MemoryShelf, Provider, Shelf, Summary, TenantKeys, destroy, inspect};
pub use root::{MemoryRootKey, RootKey, RootKeys, Wrapped};
pub use transit::{Token, TransitRootKey, TransitSettings, Trouble};

//! Keys that data is encrypted with, and the keys that keep those: a root key wraps a tenant's key, the
//! tenant's key wraps data keys, data keys seal bytes.
//!
//! Changing the root key or a tenant's key rewraps the keys below it and touches no data. Destroying a
//! tenant's keys makes all that it ever stored unreadable, backups included.
//!
//! Invariants:
//! - No key is ever written in the clear but the root key, in its own file of mode 0600.
//! - A wrapped key opens only as what it was wrapped as: tenant, level and number are authenticated.
//! - Data keys are never removed one by one: what a key sealed may lie anywhere.

mod error;
mod file;
mod key;
mod ring;
mod root;

pub use error::KeyError;
pub use file::FileRootKey;
pub use key::{KeyBytes, SealKey};
pub use ring::{Keyring, MemoryShelf, Shelf, Summary};
pub use root::{MemoryRootKey, RootKey, Wrapped};

//! One tenant's keys: opened at start, changed as a whole.
//!
//! A change is made in memory, opened once more from its wrapped form, and saved in one write; only then is
//! it used. So whatever dies between two writes leaves keys that open, the old ones or the new.

mod change;
mod destroyed;
mod kept;
mod keys;
mod shelf;
mod summary;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use corliss_clock::{Clock, SystemClock};

use self::kept::Content;
use self::keys::Keys;
use crate::key::SealKey;
use crate::{KeyError, RootKey};

pub use destroyed::{Destroyed, destroy};
pub use shelf::{MemoryShelf, Shelf};
pub use summary::{Provider, Summary, TenantKeys, inspect};

const NO_DATA_KEY: &str = "there is no data key";
/// Half of what NIST SP 800-38D allows one key with random nonces.
const SEALS_PER_KEY: u64 = 1 << 31;
/// Seals are counted on the shelf this many at a time, before they are made durable: a write for each would
/// be too many, and a crash must not lose count.
const COUNTED_AT_ONCE: u64 = 1 << 18;

/// A tenant's keys, ready for use.
pub struct Keyring {
    tenant: String,
    root: Arc<dyn RootKey>,
    shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
    /// Or that they were destroyed.
    keys: RwLock<Result<Keys, Destroyed>>,
    /// Made with the current data key, at most.
    seals: AtomicU64,
    changing: tokio::sync::Mutex<()>,
}

impl Keyring {
    /// Opens a tenant's keys; makes them if the tenant has none.
    ///
    /// # Errors
    /// The keys cannot be read, unwrapped or kept, or were destroyed.
    pub async fn open(tenant: &str, root: Arc<dyn RootKey>, shelf: Arc<dyn Shelf>) -> Result<Self, KeyError> {
        Self::open_with(tenant, root, shelf, Arc::new(SystemClock::new())).await
    }

    /// [`Self::open`], with the clock that dates what is made.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(
        tenant: &str,
        root: Arc<dyn RootKey>,
        shelf: Arc<dyn Shelf>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let keys = match shelf.load().await? {
            Some(bytes) => match kept::read(tenant, &bytes)? {
                Content::Keys(kept) => Keys::open(kept, root.as_ref()).await?,
                Content::Destroyed(destroyed) => return Err(KeyError::Destroyed(destroyed)),
            },
            None => {
                let keys = Keys::first(tenant, root.as_ref(), clock.now()).await?;
                shelf.save(keys.kept.to_bytes()?).await?;
                let root_key = &keys.kept.tenant_key.wrapped.by;
                tracing::info!(tenant, root_key, "made the keys that data is encrypted with");
                keys
            }
        };
        let seals = keys.kept.newest().map_or(0, |newest| newest.uses);
        Ok(Self {
            tenant: tenant.to_owned(),
            root,
            shelf,
            clock,
            keys: RwLock::new(Ok(keys)),
            seals: AtomicU64::new(seals),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// [`Self::open`], but a tenant whose keys were destroyed has a ring too: one that says so to whoever asks it for a
    /// key. For whoever has other things to do than with that tenant's data.
    ///
    /// # Errors
    /// The keys cannot be read, unwrapped or kept.
    pub async fn open_or_destroyed(
        tenant: &str,
        root: Arc<dyn RootKey>,
        shelf: Arc<dyn Shelf>,
    ) -> Result<Self, KeyError> {
        match Self::open(tenant, Arc::clone(&root), Arc::clone(&shelf)).await {
            Err(KeyError::Destroyed(destroyed)) => Ok(Self {
                tenant: tenant.to_owned(),
                root,
                shelf,
                clock: Arc::new(SystemClock::new()),
                keys: RwLock::new(Err(destroyed)),
                seals: AtomicU64::new(0),
                changing: tokio::sync::Mutex::default(),
            }),
            opened => opened,
        }
    }

    /// Whether there are keys: for whoever answers from what was opened before.
    ///
    /// # Errors
    /// The keys were destroyed.
    pub fn check(&self) -> Result<(), KeyError> {
        self.with(|_| Ok(()))
    }

    /// The key to seal with now, and its number, which goes with what it sealed. `seals` says how often it
    /// is going to be used.
    ///
    /// # Errors
    /// The keys were destroyed.
    pub fn current(&self, seals: u64) -> Result<(u32, Arc<SealKey>), KeyError> {
        self.with(|keys| {
            self.seals.fetch_add(seals, Ordering::Relaxed);
            Ok(keys.current.clone())
        })
    }

    /// The key of this number.
    ///
    /// # Errors
    /// There is none, or the keys were destroyed.
    pub fn get(&self, number: u32) -> Result<Arc<SealKey>, KeyError> {
        self.with(|keys| {
            keys.get(number).ok_or_else(|| KeyError::Unknown {
                tenant: self.tenant.clone(),
                number,
            })
        })
    }

    /// What it holds.
    ///
    /// # Errors
    /// The keys were destroyed.
    pub fn summary(&self) -> Result<Summary, KeyError> {
        let seals = self.seals.load(Ordering::Relaxed);
        self.with(|keys| {
            let summary = Summary::of(&keys.kept, Some(seals));
            summary.ok_or_else(|| form(&self.tenant, &NO_DATA_KEY))
        })
    }

    fn with<T>(&self, use_keys: impl FnOnce(&Keys) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        match keys.as_ref() {
            Ok(keys) => use_keys(keys),
            Err(destroyed) => Err(KeyError::Destroyed(destroyed.clone())),
        }
    }
}

fn form(tenant: &str, problem: &dyn std::fmt::Display) -> KeyError {
    KeyError::Form {
        tenant: tenant.to_owned(),
        problem: problem.to_string(),
    }
}

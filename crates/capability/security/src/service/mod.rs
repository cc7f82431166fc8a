//! The service: one operation per file, over the store, the clock and a little memory.

mod authenticate;
mod first_start;
mod issue;
mod record;
mod session;
mod workload;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_reconcile::Wake;

use crate::cache::Cache;
use crate::throttle::Throttle;
use crate::{SecurityError, credentials};

pub(crate) use authenticate::Pending;
pub(crate) use issue::TokenRequest;

/// What keys for purposes are told apart by from tokens, which are made of the same key.
const KEY_DOMAIN: &[u8] = b"corliss 2026-11 key for v1\0";

/// Tokens, sessions, the guard and the record; shared behind an [`Arc`].
pub struct Security {
    store: Metastore,
    sources: Sources,
    /// Wakes the [`Keeper`](crate::Keeper) when there is something to write down.
    wake: Wake,
    key: [u8; 32],
    cache: Mutex<Cache>,
    throttle: Mutex<Throttle>,
    pending: Mutex<Pending>,
}

impl Security {
    /// Opens the service; `key_path` names the installation's key, made at first start.
    ///
    /// # Errors
    /// If the key cannot be read or written.
    pub fn open(
        store: Metastore,
        sources: Sources,
        wake: Wake,
        key_path: &Path,
    ) -> Result<Arc<Self>, SecurityError> {
        let key = credentials::key(key_path, sources.entropy.as_ref())?;
        Ok(Arc::new(Self {
            store,
            sources,
            wake,
            key,
            cache: Mutex::default(),
            throttle: Mutex::default(),
            pending: Mutex::default(),
        }))
    }

    /// A key for one purpose, such as signing addresses, made of the installation's key: the same after a restart, and
    /// nothing that is known of it tells of that key or of those for other purposes.
    #[must_use]
    pub fn key_for(&self, purpose: &'static str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(KEY_DOMAIN).update(purpose.as_bytes());
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(crate) fn store(&self) -> &Metastore {
        &self.store
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

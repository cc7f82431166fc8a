//! One writer of a name at a time, without an entry for every name.

use tokio::sync::{Mutex, MutexGuard};

/// Two names may share a lock; then one waits for the other, and nothing else happens.
const LOCKS: usize = 64;

/// Locks by name.
pub(super) struct NameLocks(Vec<Mutex<()>>);

impl Default for NameLocks {
    fn default() -> Self {
        Self(std::iter::repeat_with(|| Mutex::new(())).take(LOCKS).collect())
    }
}

impl NameLocks {
    pub async fn lock(&self, name: &str) -> MutexGuard<'_, ()> {
        let digest = blake3::hash(name.as_bytes());
        self.0[usize::from(digest.as_bytes()[0]) % LOCKS].lock().await
    }
}

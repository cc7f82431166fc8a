//! Readers under way, by the epoch that they began in. What was condemned in a later epoch is still theirs, and
//! its packs go when they have ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Leases {
    epoch: AtomicU64,
    readers: Mutex<BTreeMap<u64, usize>>,
    ended: Notify,
}

impl Leases {
    /// A reader that begins now. The epoch is read under the lock that ends are looked for under: whoever finds
    /// that all readers before an epoch have ended is not followed by one.
    pub fn begin(self: &Arc<Self>) -> Lease {
        let mut readers = self.lock();
        let epoch = self.epoch();
        *readers.entry(epoch).or_default() += 1;
        drop(readers);
        Lease(Arc::new(Held {
            leases: Arc::clone(self),
            epoch,
        }))
    }

    /// The epoch that runs.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Begins the next epoch.
    pub fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether every reader that began before an epoch has ended, within a time.
    pub async fn ended_before(&self, epoch: u64, limit: Duration) -> bool {
        let all = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                // From here on no end is missed.
                ended.as_mut().enable();
                if self
                    .lock()
                    .first_key_value()
                    .is_none_or(|(oldest, _)| *oldest >= epoch)
                {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(limit, all).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Held {
    leases: Arc<Leases>,
    epoch: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut readers = self.leases.lock();
        if let Some(count) = readers.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&self.epoch);
            }
        }
        drop(readers);
        self.leases.ended.notify_waiters();
    }
}

/// One reader, as long as a clone of it lives.
#[derive(Clone)]
pub(super) struct Lease(Arc<Held>);

impl Lease {
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }
}

//! What is known about credentials seen lately, so that a request does not ask the database.
//!
//! An entry is trusted for a few seconds only, because another server process may share the database and
//! revoke; a revocation here empties the cache at once. The epoch closes the race in which a lookup read the
//! database before a revocation and would store its answer after it.

use std::collections::HashMap;
use std::time::Duration;

use corliss_types::Timestamp;

use crate::secret::Digest;
use crate::types::Found;

const TRUST: Duration = Duration::from_secs(10);
/// Entries per generation; there are two.
const GENERATION_MAX: usize = 4096;

/// What the cache knows about a digest.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// A credential, as stored.
    Valid(Found),
    /// Looked up and not found, a moment ago.
    Unknown,
}

#[derive(Debug, Clone)]
struct Entry {
    known: Known,
    at: Duration,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
pub(crate) struct Cache {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
    epoch: u64,
}

impl Cache {
    /// What is known, unless it is too long ago.
    pub(crate) fn get(&self, digest: &Digest, now: Duration) -> Option<Known> {
        let entry = self.young.get(digest).or_else(|| self.old.get(digest))?;
        (now.saturating_sub(entry.at) < TRUST).then(|| entry.known.clone())
    }

    /// To be read before the lookup whose answer is put.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Remembers an answer, unless something was revoked or issued since `epoch`.
    pub(crate) fn put(&mut self, digest: Digest, known: Known, now: Duration, epoch: u64) {
        if epoch != self.epoch {
            return;
        }
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, Entry { known, at: now });
    }

    /// Notes that the use of a credential was written down.
    pub(crate) fn used(&mut self, digest: &Digest, at: Timestamp) {
        if let Some(Entry {
            known: Known::Valid(found),
            ..
        }) = self.young.get_mut(digest).or_else(|| self.old.get_mut(digest))
        {
            found.last_used = Some(at);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_before_a_revocation_is_not_kept() {
        let mut cache = Cache::default();
        let (digest, now) = (Digest::of("a"), Duration::from_secs(5));
        let epoch = cache.epoch();
        cache.clear();
        cache.put(digest, Known::Unknown, now, epoch);
        assert!(cache.get(&digest, now).is_none());
        cache.put(digest, Known::Unknown, now, cache.epoch());
        assert!(cache.get(&digest, now).is_some());
        assert!(cache.get(&digest, now + TRUST).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = Cache::default();
        for n in 0..3 * GENERATION_MAX {
            cache.put(Digest::of(&n.to_string()), Known::Unknown, Duration::ZERO, 0);
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION_MAX);
    }
}

//! What the copies are worth, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, and how full the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Reads that a copy answered.
    pub hits: u64,
    /// Reads that had to wait for the remote backend.
    pub misses: u64,
    /// Bytes that copies answered.
    pub bytes_from_cache: u64,
    /// Bytes that were fetched from the remote backend, whole objects.
    pub bytes_from_remote: u64,
    /// Copies that were removed to make room.
    pub evictions: u64,
    /// Copies that were dropped since what was read of them was damaged.
    pub distrusted: u64,
    /// Times that the local backend failed. Reads do not fail with it.
    pub errors: u64,
    /// Copies.
    pub objects: u64,
    /// Bytes that they take up, with what is on its way in or out.
    pub used_bytes: u64,
    /// Bytes that they may take up.
    pub limit_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub hits: Counter,
    pub misses: Counter,
    pub bytes_from_cache: Counter,
    pub bytes_from_remote: Counter,
    pub evictions: Counter,
    pub distrusted: Counter,
    pub errors: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

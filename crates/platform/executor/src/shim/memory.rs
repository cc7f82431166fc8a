//! Watching the memory of the whole tree where no cgroup enforces it.

use std::time::{Duration, Instant};

use crate::process;

/// Between samples while there is room.
const RELAXED: Duration = Duration::from_millis(250);
/// Between samples when more than half of the limit is in use.
const CLOSE: Duration = Duration::from_millis(50);
/// Without a limit only the peak is wanted.
const PEAK_ONLY: Duration = Duration::from_secs(1);

/// Samples what the tree holds.
pub(super) struct MemoryWatch {
    limit_bytes: Option<u64>,
    peak_bytes: u64,
    next: Instant,
}

impl MemoryWatch {
    pub(super) fn new(limit_bytes: Option<u64>) -> Self {
        Self {
            limit_bytes,
            peak_bytes: 0,
            next: Instant::now() + CLOSE,
        }
    }

    /// When to sample next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Samples if it is time; answers the bytes in use if they pass the limit.
    pub(super) fn sample(&mut self, now: Instant) -> Option<u64> {
        if now < self.next {
            return None;
        }
        let tree = process::descendants(nix::unistd::getpid().as_raw());
        // Resident pages, counted anew in each process that maps them: cheap, and never too low.
        let mut used: u64 = tree.values().sum();
        let over = |used: u64| self.limit_bytes.is_some_and(|limit| used > limit);
        if over(used) {
            // Perhaps only shared pages counted twice, as in a loader with many workers: look closely.
            used = tree
                .iter()
                .map(|(pid, rss)| process::proportional_bytes(*pid).unwrap_or(*rss))
                .sum();
        }
        self.peak_bytes = self.peak_bytes.max(used);
        let wait = match self.limit_bytes {
            None => PEAK_ONLY,
            Some(limit) if used > limit / 2 => CLOSE,
            Some(_) => RELAXED,
        };
        self.next = now + wait;
        over(used).then_some(used)
    }
}

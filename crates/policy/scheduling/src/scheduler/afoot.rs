//! Gangs that run and are not being ended: by when they will have ended, and by who is stopped first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Entry;
use crate::view::Gang;

#[derive(Debug, Clone, Default)]
pub(super) struct Afoot {
    /// Those of which it is known.
    by_end: BTreeSet<(i64, u64)>,
    /// By queue: those that may be stopped.
    stoppable: BTreeMap<usize, BTreeSet<Rank>>,
}

/// Lower priority first, then who began last.
pub(super) type Rank = (i32, Reverse<i64>, Reverse<u64>);

impl Afoot {
    pub(super) fn add(&mut self, number: u64, entry: &Entry, since_ms: i64) {
        self.by_end
            .extend(ends_ms(&entry.gang, since_ms).map(|at| (at, number)));
        if let Some(queue) = entry.queue.filter(|_| entry.gang.is_preemptible) {
            let rank = (entry.gang.priority, Reverse(since_ms), Reverse(number));
            self.stoppable.entry(queue).or_default().insert(rank);
        }
    }

    pub(super) fn remove(&mut self, number: u64, entry: &Entry, since_ms: i64) {
        if let Some(at) = ends_ms(&entry.gang, since_ms) {
            self.by_end.remove(&(at, number));
        }
        if let Some(of_queue) = entry.queue.and_then(|queue| self.stoppable.get_mut(&queue)) {
            of_queue.remove(&(entry.gang.priority, Reverse(since_ms), Reverse(number)));
        }
    }

    /// When each will have ended that it is known of, the first first.
    pub(super) fn by_end(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.by_end.iter().copied()
    }

    /// By queue, those that may be stopped.
    pub(super) fn stoppable(&self) -> impl Iterator<Item = (usize, &BTreeSet<Rank>)> {
        self.stoppable.iter().map(|(queue, ranks)| (*queue, ranks))
    }
}

/// When a gang that runs since then will have ended, if that is known.
fn ends_ms(gang: &Gang, since_ms: i64) -> Option<i64> {
    Some(since_ms.saturating_add(i64::try_from(gang.left_ms()?).unwrap_or(i64::MAX)))
}

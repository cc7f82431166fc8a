//! Connections that wait for their next request: each thread has its own, so that no lock is fought for and no
//! connection is used where another thread's reactor would have to be woken.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::link::Link;

/// Threads beyond so many share.
const THREADS: usize = 16;
/// Connections that one thread keeps.
const KEPT_MAX: usize = 128;

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    THREAD.with(|known| {
        known.get().unwrap_or_else(|| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed) % THREADS;
            known.set(Some(number));
            number
        })
    })
}

/// Kept connections of one upstream, the one used last on top.
pub(crate) struct Shelf {
    threads: [Mutex<VecDeque<(Instant, Link)>>; THREADS],
    /// How long one may wait; for ever if none.
    keep: Option<Duration>,
}

impl Shelf {
    pub(crate) fn new(keep: Option<Duration>) -> Self {
        Self {
            threads: std::array::from_fn(|_| Mutex::new(VecDeque::new())),
            keep,
        }
    }

    pub(crate) fn take(&self) -> Option<Link> {
        let (since, link) = self.own().pop_back()?;
        // The others wait even longer: they go when the next one is put.
        self.is_fresh(since).then_some(link)
    }

    pub(crate) fn put(&self, link: Link) {
        let now = Instant::now();
        let mut own = self.own();
        while own.len() >= KEPT_MAX || own.front().is_some_and(|(since, _)| !self.is_fresh(*since)) {
            own.pop_front();
        }
        own.push_back((now, link));
    }

    fn is_fresh(&self, since: Instant) -> bool {
        self.keep.is_none_or(|keep| since.elapsed() < keep)
    }

    fn own(&self) -> MutexGuard<'_, VecDeque<(Instant, Link)>> {
        self.threads[thread()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

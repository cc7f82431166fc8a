//! The histories of a run's metrics: points in the order in which they are read, in chunks of a few dozen, and batches
//! that are not yet in chunks.
//!
//! A chunk is a row. A point costs about twelve bytes in it, a fifth of what it costs as a row of its own, and
//! thousands are read with a few dozen rows. A batch is a row too: what one call logged, whatever its metrics, so that
//! a call with a thousand metrics writes a few pages, not a few hundred. Every so many batches are put into chunks.

mod chunk;
mod place;

pub(super) use chunk::{decode, decode_batch, encode, encode_batch};
pub(super) use place::{CHUNK_POINTS, Grown, appended, into_chunk};

use std::cmp::Ordering;

/// A value at a time and a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub logged_ms: i64,
    pub step: i64,
    pub value: f64,
}

impl Point {
    /// Not-a-number counts as 0, behind it: as the reference server stores it.
    fn rank(&self) -> (f64, bool) {
        match self.value.is_nan() {
            true => (0.0, true),
            false => (self.value, false),
        }
    }

    /// By step, then time, then value: the latest is the greatest.
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.step, self.logged_ms, self.rank().0) > (other.step, other.logged_ms, other.rank().0)
    }
}

impl Ord for Point {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.rank(), other.rank());
        (self.logged_ms, self.step)
            .cmp(&(other.logged_ms, other.step))
            // Of two zeros neither is less.
            .then_with(|| mine.0.partial_cmp(&theirs.0).unwrap_or(Ordering::Equal))
            .then_with(|| mine.1.cmp(&theirs.1))
    }
}

impl PartialOrd for Point {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Point {}

//! How far something is that takes long: counted while it is done, read by whoever looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use corliss_blobstore::{Phase, Progress};
use serde::Serialize;

/// What was done so far; counted while it runs.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) commits_total: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) pieces: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) files: AtomicU64,
    /// Of the totals 0 is not known; where there is nothing to do nobody waits for it.
    pub(crate) bytes_total: AtomicU64,
    pub(crate) files_total: AtomicU64,
    pieces_total: AtomicU64,
    packs: AtomicU64,
    packs_total: AtomicU64,
    phase: Mutex<Option<&'static str>>,
}

/// What was done, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counted {
    /// What it is at, in a word, if it goes through several things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    /// Commits that the receiver lacked.
    pub commits_total: u64,
    /// Of those, how many it has now.
    pub commits: u64,
    /// Pieces that were sent, or in this phase looked at.
    pub pieces: u64,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces_total: Option<u64>,
    /// Bytes that were transferred.
    pub bytes: u64,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    /// Files listed by what was sent, or imported.
    pub files: u64,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_total: Option<u64>,
    /// Packs that were gone through in this phase.
    pub packs: u64,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packs_total: Option<u64>,
}

impl Counters {
    /// The counts as they are now.
    #[must_use]
    pub fn read(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let total = |counter: &AtomicU64| Some(of(counter)).filter(|total| *total > 0);
        Counted {
            phase: *self.phase.lock().unwrap_or_else(PoisonError::into_inner),
            commits_total: of(&self.commits_total),
            commits: of(&self.commits),
            pieces: of(&self.pieces),
            pieces_total: total(&self.pieces_total),
            bytes: of(&self.bytes),
            bytes_total: total(&self.bytes_total),
            files: of(&self.files),
            files_total: total(&self.files_total),
            packs: of(&self.packs),
            packs_total: total(&self.packs_total),
        }
    }

    /// Says what it is at.
    pub(crate) fn enter(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = Some(phase);
    }

    /// Takes over how far a collection or check is.
    pub(crate) fn upkeep(&self, progress: Progress) {
        let (phase, are_packs) = match progress.phase {
            Phase::Surveying => ("surveying", true),
            Phase::Marking => ("marking", false),
            Phase::Sweeping => ("sweeping", false),
            Phase::Waiting => ("waiting", false),
            Phase::Compacting => ("compacting", true),
            Phase::Removing => ("removing", true),
            Phase::Reading => ("reading", true),
            Phase::Tracing => ("tracing", false),
        };
        self.enter(phase);
        let (packs, pieces) = match are_packs {
            true => ((progress.done, progress.of), (0, None)),
            false => ((0, None), (progress.done, progress.of)),
        };
        let set = |counter: &AtomicU64, value: u64| counter.store(value, Ordering::Relaxed);
        set(&self.packs, packs.0);
        set(&self.packs_total, packs.1.unwrap_or(0));
        set(&self.pieces, pieces.0);
        set(&self.pieces_total, pieces.1.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_counts_its_own_things_and_forgets_those_before() {
        let counters = Counters::default();
        assert_eq!(counters.read(), Counted::default());
        let at = |phase, done, of| {
            counters.upkeep(Progress { phase, done, of });
            let read = counters.read();
            (
                read.phase,
                read.pieces,
                read.pieces_total,
                read.packs,
                read.packs_total,
            )
        };
        assert_eq!(at(Phase::Marking, 7, None), (Some("marking"), 7, None, 0, None));
        assert_eq!(
            at(Phase::Sweeping, 8, Some(9)),
            (Some("sweeping"), 8, Some(9), 0, None)
        );
        assert_eq!(
            at(Phase::Compacting, 1, Some(2)),
            (Some("compacting"), 0, None, 1, Some(2))
        );
    }
}

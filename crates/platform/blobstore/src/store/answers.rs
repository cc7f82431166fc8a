//! What the store says is there, and to whom.
//!
//! Who was told that a piece is stored builds on it: sends nothing below it, lists it, makes it a version. So an
//! answer is noted as long as somebody who may build on it holds the store ([`Hold`]; every put does), and while
//! a collection looks for what is in use, every answer counts as a use. At one moment, under the gate, what was
//! found unused is condemned: whoever asks from then on is told that it is not there, and sends it anew; readers
//! that began before still find it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::leases::{Lease, Leases};
use crate::index::{Index, Location};
use crate::marks::Marks;
use crate::piece::Kind;
use crate::{BlobError, BlobId};

/// Holds that began within this time share their notes.
const BUCKET: Duration = Duration::from_mins(1);

/// Pieces that were condemned at once and that the index has not forgotten yet.
struct Layer {
    epoch: u64,
    dead: Marks,
}

/// Notes of the holds that began in one stretch of time.
struct Bucket {
    number: u64,
    since: Instant,
    holds: usize,
    /// Packs from this number on came after these holds.
    first_pack: u32,
    said: Marks,
}

/// What is in use, while a collection looks for it.
#[derive(Default)]
pub(super) struct Watch {
    pub marks: Marks,
    /// Nodes and records among the marks whose links were not followed yet.
    pub open: Vec<BlobId>,
}

impl Watch {
    /// Counts a piece as used.
    pub fn mark(&mut self, piece: &Location) {
        if self.marks.insert(piece.number, piece.at) && piece.row.kind != Kind::Chunk {
            self.open.push(piece.row.id);
        }
    }
}

#[derive(Default)]
struct Notes {
    buckets: VecDeque<Bucket>,
    next_bucket: u64,
    watch: Option<Watch>,
}

#[derive(Default)]
pub(super) struct Answers {
    /// Read for an answer, written to change what answers are.
    gate: RwLock<Vec<Layer>>,
    notes: Mutex<Notes>,
    pub leases: Arc<Leases>,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    /// Builds on the answer.
    Writer,
    /// Builds on the answer, and could send what is damaged anew.
    Healer,
    /// Looks for what is in use: counts as a use, and nobody was told.
    Collector,
    /// Reads.
    Reader(&'a Lease),
}

impl Answers {
    /// Where pieces lie, in the order of the ids.
    pub fn find(
        &self,
        index: &Index,
        ids: &[BlobId],
        asker: Asker<'_>,
    ) -> Result<Vec<Option<Location>>, BlobError> {
        let layers = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = index.find(ids)?;
        let epoch = match asker {
            Asker::Reader(lease) => lease.epoch(),
            Asker::Writer | Asker::Healer | Asker::Collector => u64::MAX,
        };
        for layer in layers.iter().filter(|layer| layer.epoch <= epoch) {
            for piece in &mut found {
                *piece = piece.filter(|piece| !layer.dead.contains(piece.number, piece.at));
            }
        }
        if matches!(asker, Asker::Healer) {
            let defective = index.defective(ids)?;
            let both = found.iter_mut().zip(defective);
            both.filter(|(_, is_defective)| *is_defective)
                .for_each(|(piece, _)| *piece = None);
        }
        match asker {
            Asker::Writer | Asker::Healer => self.note(&found, true),
            Asker::Collector => self.note(&found, false),
            Asker::Reader(_) => {}
        }
        Ok(found)
    }

    fn note(&self, found: &[Option<Location>], is_told: bool) {
        let mut notes = self.lock();
        if let Some(bucket) = notes.buckets.back_mut().filter(|_| is_told) {
            for piece in found.iter().flatten() {
                bucket.said.insert(piece.number, piece.at);
            }
        }
        if let Some(watch) = &mut notes.watch {
            found.iter().flatten().for_each(|piece| watch.mark(piece));
        }
    }

    /// A reader that begins now.
    pub fn lease(&self) -> Lease {
        self.leases.begin()
    }

    /// From now on answers are noted until this is dropped.
    pub fn hold(self: &Arc<Self>, index: &Index) -> Hold {
        let first_pack = index.next_number();
        let mut notes = self.lock();
        if notes
            .buckets
            .back()
            .is_none_or(|bucket| bucket.since.elapsed() >= BUCKET)
        {
            let number = notes.next_bucket;
            notes.next_bucket += 1;
            notes.buckets.push_back(Bucket {
                number,
                since: Instant::now(),
                holds: 0,
                first_pack,
                said: Marks::default(),
            });
        }
        let mut number = 0;
        if let Some(bucket) = notes.buckets.back_mut() {
            bucket.holds += 1;
            number = bucket.number;
        }
        Hold {
            answers: Arc::clone(self),
            bucket: number,
        }
    }

    /// Begins to count answers as uses. Answers what was noted for holds that live, and the first pack that may
    /// hold what they wrote.
    pub fn begin_watch(&self, index: &Index) -> (Marks, u32) {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut notes = self.lock();
        notes.watch = Some(Watch::default());
        let mut said = Marks::default();
        let mut first_pack = index.next_number();
        for bucket in &notes.buckets {
            said.extend(&bucket.said);
            first_pack = first_pack.min(bucket.first_pack);
        }
        (said, first_pack)
    }

    /// Something with the watch; None if there is none.
    pub fn watch<T>(&self, work: impl FnOnce(&mut Watch) -> T) -> Option<T> {
        self.lock().watch.as_mut().map(work)
    }

    pub fn end_watch(&self) {
        self.lock().watch = None;
    }

    /// Ends the watch and condemns the pieces that are not marked, at one moment. Answers them; None if there are marks whose links were not followed yet: then nothing has changed.
    pub fn condemn(&self, unused: &Marks) -> Option<Marks> {
        let mut layers = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut notes = self.lock();
        if !notes.watch.as_ref().is_some_and(|watch| watch.open.is_empty()) {
            return None;
        }
        let watch = notes.watch.take()?;
        let dead = unused.without(&watch.marks);
        let epoch = self.leases.next_epoch();
        if !dead.is_empty() {
            let dead = dead.clone();
            layers.push(Layer { epoch, dead });
        }
        Some(dead)
    }

    /// Changes where pieces are found, while nobody is being told. Answers the epoch that begins: readers of
    /// earlier ones may look for them where they were.
    pub fn moved<T>(
        &self,
        repoint: impl FnOnce() -> Result<T, BlobError>,
        places: impl FnOnce(&T) -> Vec<((u32, u32), (u32, u32))>,
    ) -> Result<u64, BlobError> {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let done = repoint()?;
        let mut notes = self.lock();
        for (from, to) in places(&done) {
            if let Some(watch) = &mut notes.watch
                && watch.marks.contains(from.0, from.1)
            {
                watch.marks.insert(to.0, to.1);
            }
            for bucket in &mut notes.buckets {
                if bucket.said.contains(from.0, from.1) {
                    bucket.said.insert(to.0, to.1);
                }
            }
        }
        Ok(self.leases.next_epoch())
    }

    /// All that was condemned up to an epoch and that the index has not forgotten.
    pub fn condemned(&self, epoch: u64) -> Marks {
        let layers = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Marks::default();
        for layer in layers.iter().filter(|layer| layer.epoch <= epoch) {
            all.extend(&layer.dead);
        }
        all
    }

    /// The index has forgotten what was condemned up to this epoch.
    pub fn forgotten(&self, epoch: u64) {
        let mut layers = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        layers.retain(|layer| layer.epoch > epoch);
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as this lives, what the store has said to be stored since it began stays stored.
#[must_use = "what was said holds as long as this lives"]
pub struct Hold {
    answers: Arc<Answers>,
    bucket: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut notes = self.answers.lock();
        let mine = notes
            .buckets
            .iter_mut()
            .find(|bucket| bucket.number == self.bucket);
        if let Some(bucket) = mine {
            bucket.holds -= 1;
        }
        // Notes of a later stretch are also for holds of an earlier one.
        while notes.buckets.front().is_some_and(|bucket| bucket.holds == 0) {
            notes.buckets.pop_front();
        }
    }
}

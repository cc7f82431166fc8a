//! Damage put right: from a copy elsewhere, and out of packs that are damaged in part.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;

use super::super::collect::{Moving, read_each, read_sealed, write_moved};
use super::super::links;
use super::packs::STEP;
use super::{BlobStore, Check, Guard};
use crate::condemned::Fate;
use crate::index::Location;
use crate::marks::Bits;
use crate::pack::PackId;
use crate::piece::{Kind, Piece};
use crate::{BlobError, BlobId, blocking};

/// Pieces that are asked for together.
const TOGETHER: usize = 64;

/// A copy of pieces elsewhere.
#[async_trait]
pub trait PieceSource: Send + Sync {
    /// Those of the pieces that it has, in any order. They are verified; what is not asked for is ignored.
    ///
    /// # Errors
    /// It cannot be reached; then the repair ends, and what was repaired stays.
    async fn fetch(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, BlobError>;
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Pieces that are good again.
    pub repaired: Vec<BlobId>,
    /// Pieces that the source does not have, or that list what it does not have.
    pub failed: Vec<BlobId>,
}

/// What was taken out of a damaged pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// Pieces that lie in a new pack now.
    pub moved: u64,
    /// Pieces that are damaged, and stay.
    pub damaged: Vec<BlobId>,
}

/// A repair under way.
struct Repair<'a> {
    check: Check<'a>,
    source: &'a dyn PieceSource,
    visited: BTreeSet<BlobId>,
    /// Still to be looked at.
    open: Vec<BlobId>,
    /// Nodes and records that wait for what they list.
    waiting: Vec<Piece>,
    /// Where pieces lay that were damaged.
    old: HashMap<BlobId, Location>,
    report: RepairReport,
}

impl BlobStore {
    /// Fetches pieces that are damaged or missing, and what of that they list is, and writes them to new packs. A
    /// damaged copy is given up once the good one is durable. Children are written before what lists them.
    ///
    /// # Errors
    /// A collection or check is under way, or the source or the storage failed.
    pub async fn repair(
        &self,
        ids: Vec<BlobId>,
        source: &dyn PieceSource,
    ) -> Result<RepairReport, BlobError> {
        let guard = self.upkeep().await?;
        let _hold = self.hold();
        let quiet = |_| {};
        let mut repair = Repair {
            check: Check::new(self, false, None, &quiet),
            source,
            visited: BTreeSet::new(),
            open: ids,
            waiting: Vec::new(),
            old: HashMap::new(),
            report: RepairReport::default(),
        };
        while !repair.open.is_empty() {
            repair.visit().await?;
        }
        repair.write_waiting().await?;
        repair.give_up_old(guard).await?;
        self.acquit().await?;
        Ok(repair.report)
    }

    /// Takes out of a pack, by the name of its object, what is good of what the index finds in it, and writes it to
    /// a new pack. The old one goes with the next collection if nothing is left in it.
    ///
    /// # Errors
    /// A collection or check is under way, the index knows no such pack, or the storage failed.
    pub async fn salvage(&self, pack: &str) -> Result<SalvageReport, BlobError> {
        let mut guard = self.upkeep().await?;
        let known = self.inner.index.numbered();
        let pack = known
            .iter()
            .find(|(_, info)| info.id.object() == pack)
            .ok_or_else(|| BlobError::Io {
                action: "find",
                path: pack.to_owned(),
                message: "the index knows no such pack".to_owned(),
            })?;
        let (number, id) = (*pack.0, pack.1.id);
        let (good, bad) = read_sealed(self, self.pieces_in(number, &guard).await?).await?;
        let report = SalvageReport {
            moved: good.len() as u64,
            damaged: bad.iter().map(|piece| piece.row.id).collect(),
        };
        let (index, damaged) = (Arc::clone(&self.inner.index), report.damaged.clone());
        blocking(move || index.set_defective(&damaged, true)).await?;
        let places: Vec<u32> = good.iter().map(|(piece, _)| piece.at).collect();
        let mut moving = Moving::default();
        moving.add(good, None)?;
        let store = self.clone();
        let task = tokio::spawn(async move { write_moved(&store, moving).await.map(|()| guard) });
        guard = joined(task).await?;
        if bad.is_empty() {
            guard.packs.insert(id, Fate::Whole);
            guard.is_unsaved = true;
        } else {
            let mut rows = Bits::default();
            for at in places {
                rows.insert(at);
            }
            guard.add_rows(id, &rows);
        }
        self.save_condemned(guard, false).await?;
        Ok(report)
    }

    /// What is known as damaged, or as listing what is: by the last check, and the scrubs since.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn known_damage(&self) -> Result<Vec<BlobId>, BlobError> {
        let (mut known, mut last) = (Vec::new(), None);
        loop {
            let index = Arc::clone(&self.inner.index);
            let step: Vec<BlobId> = blocking(move || index.defects_after(last, STEP)).await?;
            if step.is_empty() {
                return Ok(known);
            }
            last = step.last().copied();
            known.extend(step);
        }
    }

    /// Which of the pieces are not stored, known as damaged, or known to list what is: by the last check, and the
    /// scrubs since. In the order of the ids. Nobody is told that they are stored: this is for looking only.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn are_damaged(&self, ids: Vec<BlobId>) -> Result<Vec<bool>, BlobError> {
        let lease = self.inner.answers.lease();
        let found = self.locate(&lease, ids.clone()).await?;
        let index = Arc::clone(&self.inner.index);
        let defective = blocking(move || index.defective(&ids)).await?;
        let both = found.iter().zip(defective);
        Ok(both
            .map(|(found, is_defective)| found.is_none() || is_defective)
            .collect())
    }

    /// What the index finds in a pack.
    pub(super) async fn pieces_in(&self, number: u32, guard: &Guard) -> Result<Vec<Location>, BlobError> {
        let (mut found, mut last) = (Vec::new(), None);
        loop {
            let index = Arc::clone(&self.inner.index);
            let step = blocking(move || index.after(last, STEP)).await?;
            let Some(end) = step.last() else {
                return Ok(found);
            };
            last = Some(end.row.id);
            let here = step.into_iter().filter(|piece| piece.number == number);
            found.extend(here.filter(|piece| !guard.has(piece.pack, piece.at)));
        }
    }

    /// What can be read and lists nothing bad is good again: nodes and records, once all below them is.
    async fn acquit(&self) -> Result<(), BlobError> {
        let quiet = |_| {};
        let check = Check::new(self, false, None, &quiet);
        loop {
            let (mut last, mut is_changed) = (None, false);
            loop {
                let index = Arc::clone(&self.inner.index);
                let step: Vec<BlobId> = blocking(move || index.defects_after(last, TOGETHER)).await?;
                if step.is_empty() {
                    break;
                }
                last = step.last().copied();
                let places = check.places(step).await?.into_iter().flatten();
                for (piece, bytes) in read_each(self, places.collect()).await? {
                    let Some(bytes) = bytes else {
                        continue;
                    };
                    let listed = links::listed(piece.row.kind, &bytes);
                    if self.answer_healer(listed).await?.iter().all(Option::is_some) {
                        let (index, id) = (Arc::clone(&self.inner.index), piece.row.id);
                        blocking(move || index.set_defective(&[id], false)).await?;
                        is_changed = true;
                    }
                }
            }
            if !is_changed {
                return Ok(());
            }
        }
    }
}

impl Check<'_> {
    /// Those of the packs in which the index finds nothing any more.
    async fn emptied(
        &self,
        mut packs: BTreeSet<PackId>,
        guard: &Guard,
    ) -> Result<BTreeSet<PackId>, BlobError> {
        let mut last = None;
        while !packs.is_empty()
            && let Some(step) = self.step(&mut last).await?
        {
            for piece in step.iter().filter(|piece| !guard.has(piece.pack, piece.at)) {
                packs.remove(&piece.pack);
            }
        }
        Ok(packs)
    }
}

impl Repair<'_> {
    /// Looks at some pieces: good ones are left, others fetched.
    async fn visit(&mut self) -> Result<(), BlobError> {
        let from = self.open.len().saturating_sub(TOGETHER);
        let mut ids = self.open.split_off(from);
        ids.retain(|id| self.visited.insert(*id));
        let places = self.check.places(ids.clone()).await?;
        let there: Vec<Location> = places.into_iter().flatten().collect();
        let mut wanted: BTreeSet<BlobId> = ids.into_iter().collect();
        for (piece, bytes) in read_each(self.check.store, there).await? {
            let id = piece.row.id;
            match bytes {
                // What it lists may be damaged all the same.
                Some(bytes) => {
                    wanted.remove(&id);
                    self.look_below(links::listed(piece.row.kind, &bytes)).await?;
                }
                None => {
                    self.old.insert(id, piece);
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let bad: Vec<BlobId> = self
            .old
            .keys()
            .filter(|id| wanted.contains(*id))
            .copied()
            .collect();
        let index = Arc::clone(&self.check.store.inner.index);
        blocking(move || index.set_defective(&bad, true)).await?;
        self.fetch(wanted).await
    }

    async fn fetch(&mut self, mut wanted: BTreeSet<BlobId>) -> Result<(), BlobError> {
        let mut chunks = Vec::new();
        for piece in self.source.fetch(wanted.iter().copied().collect()).await? {
            // Its id is computed, not believed.
            let Ok(piece) = Piece::received(piece.kind, piece.bytes) else {
                continue;
            };
            if !wanted.remove(&piece.id) {
                continue;
            }
            if piece.kind == Kind::Chunk {
                chunks.push(piece);
            } else {
                self.look_below(links::listed(piece.kind, &piece.bytes)).await?;
                self.waiting.push(piece);
            }
        }
        self.report.failed.extend(wanted);
        let ids: Vec<BlobId> = chunks.iter().map(|piece| piece.id).collect();
        self.check.store.put_pieces(chunks).await?;
        self.report.repaired.extend(ids);
        Ok(())
    }

    async fn look_below(&mut self, listed: Vec<BlobId>) -> Result<(), BlobError> {
        let found = self.check.store.answer_healer(listed.clone()).await?;
        let bad = listed.into_iter().zip(found).filter(|(_, found)| found.is_none());
        self.open.extend(bad.map(|(id, _)| id));
        Ok(())
    }

    /// Round by round, since a record may list another; until a round writes nothing.
    async fn write_waiting(&mut self) -> Result<(), BlobError> {
        loop {
            self.check.store.acquit().await?;
            let waiting = std::mem::take(&mut self.waiting);
            let before = waiting.len();
            for piece in waiting {
                let id = piece.id;
                match self.check.store.put_pieces(vec![piece.clone()]).await {
                    Ok(_) => self.report.repaired.push(id),
                    Err(BlobError::Incomplete { .. }) => self.waiting.push(piece),
                    Err(error) => return Err(error),
                }
            }
            if self.waiting.len() == before {
                self.report
                    .failed
                    .extend(self.waiting.iter().map(|piece| piece.id));
                return Ok(());
            }
        }
    }

    /// An index made anew must not find the damaged copies.
    async fn give_up_old(&mut self, mut guard: Guard) -> Result<(), BlobError> {
        let ids: Vec<BlobId> = self.old.keys().copied().collect();
        let places = self.check.places(ids.clone()).await?;
        let mut rows: BTreeMap<PackId, Bits> = BTreeMap::new();
        for (id, now) in ids.iter().zip(places) {
            let old = self
                .old
                .get(id)
                .filter(|old| now.is_some_and(|now| (now.number, now.at) != (old.number, old.at)));
            if let Some(old) = old {
                rows.entry(old.pack).or_default().insert(old.at);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        for (pack, rows) in &rows {
            guard.add_rows(*pack, rows);
        }
        // A pack that is gone or cut short, and of which nothing is looked for any more, need not be told again.
        let emptied = self.check.emptied(rows.keys().copied().collect(), &guard).await?;
        for pack in emptied {
            guard.packs.insert(pack, Fate::Whole);
        }
        self.check.store.save_condemned(guard, false).await?;
        Ok(())
    }
}

async fn joined<T>(task: tokio::task::JoinHandle<Result<T, BlobError>>) -> Result<T, BlobError> {
    task.await.unwrap_or_else(|error| {
        Err(BlobError::Io {
            action: "finish work on",
            path: "the blobs".to_owned(),
            message: error.to_string(),
        })
    })
}

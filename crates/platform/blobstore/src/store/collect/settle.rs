//! The end of what is condemned: readers end, the index forgets, packs are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::survey::STEP;
use super::{Guard, Phase, Run, Skipped};
use crate::condemned::{Condemned, Fate};
use crate::index::{Index, Sums};
use crate::pack::PackId;
use crate::{BlobError, blocking};

impl Run<'_> {
    /// Does what is due of what is condemned. What readers still need waits for the next time.
    pub(super) async fn settle(&mut self, mut guard: Guard) -> Result<Guard, BlobError> {
        let inner = &self.store.inner;
        if guard.is_unsaved {
            guard = self.save(guard).await?;
        }
        if self.options.is_shared {
            return Ok(guard);
        }
        let epoch = inner.answers.leases.epoch();
        let dead = inner.answers.condemned(epoch);
        if dead.is_empty() && guard.packs.values().all(|fate| *fate != Fate::Whole) {
            return Ok(guard);
        }
        self.at(Phase::Waiting, 0, None);
        if !inner.answers.leases.ended_before(epoch, self.options.wait).await {
            self.report.skipped.push(Skipped::Readers);
            return Ok(guard);
        }
        let (index, condemned) = (Arc::clone(&inner.index), guard.clone());
        let is_scanned = !dead.is_empty();
        blocking(move || forget(&index, &condemned, is_scanned)).await?;
        inner.answers.forgotten(epoch);
        self.remove(&mut guard).await?;
        Ok(guard)
    }

    /// Removes packs that are condemned whole. What is no longer there need not be told to be condemned any more.
    async fn remove(&mut self, guard: &mut Guard) -> Result<(), BlobError> {
        let inner = &self.store.inner;
        let objects = inner.backend.list("packs").await?;
        let there: BTreeMap<PackId, u64> = objects
            .iter()
            .filter_map(|object| Some((PackId::of_object(&object.name)?, object.size_bytes)))
            .collect();
        let whole = guard.packs.iter().filter(|(_, fate)| **fate == Fate::Whole);
        let due: Vec<PackId> = whole
            .map(|(id, _)| *id)
            .filter(|id| there.contains_key(id))
            .collect();
        let unlisted: Vec<PackId> = guard
            .packs
            .keys()
            .filter(|id| !there.contains_key(id))
            .copied()
            .collect();
        for id in unlisted {
            // A list may be behind, and what was forgotten to be condemned would be known again.
            if inner.backend.size(&id.object()).await?.is_none() {
                guard.packs.remove(&id);
            }
        }
        for (done, id) in (0..).zip(&due) {
            self.at(Phase::Removing, done, Some(due.len() as u64));
            inner.backend.remove(&id.object()).await?;
            self.report.packs_removed += 1;
            self.report.freed_bytes += there.get(id).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// Writes what is condemned, to the end though the collection be dropped.
    pub(super) async fn save(&self, guard: Guard) -> Result<Guard, BlobError> {
        self.store.save_condemned(guard, self.options.is_shared).await
    }
}

impl crate::BlobStore {
    /// Writes what is condemned, to the end though whoever asked is gone.
    pub(in crate::store) async fn save_condemned(
        &self,
        mut guard: Guard,
        is_shared: bool,
    ) -> Result<Guard, BlobError> {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            guard
                .save(inner.backend.as_ref(), &inner.keyring, &inner.index, is_shared)
                .await
                .map(|()| guard)
        });
        task.await.unwrap_or_else(|error| {
            Err(BlobError::Io {
                action: "finish work on",
                path: "the blobs".to_owned(),
                message: error.to_string(),
            })
        })
    }
}

/// Whether something was condemned by another index and this one does not know it: what was not needed where that
/// one had found it may be all that this one finds. Such a folder lies about where a server was moved away from.
pub(in crate::store) fn is_foreign(index: &Index, condemned: &Condemned) -> Result<bool, BlobError> {
    Ok(index.generation()? != condemned.generation && index.id()? != condemned.index)
}

/// At the start, when there are no readers: an index that has not forgotten all that is condemned does it now.
pub(in crate::store) async fn forget_condemned(
    index: Index,
    condemned: &Condemned,
) -> Result<Index, BlobError> {
    let condemned = condemned.clone();
    blocking(move || {
        if index.generation()? != condemned.generation {
            forget(&index, &condemned, true)?;
        }
        Ok(index)
    })
    .await
}

/// Lets the index forget pieces and packs. Scans it only where pieces may be found that are condemned: of packs
/// that were written anew, all is found elsewhere.
fn forget(index: &Index, condemned: &Condemned, is_scanned: bool) -> Result<(), BlobError> {
    let mut sums: BTreeMap<u32, Sums> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for (number, pack) in index.numbered() {
        match condemned.packs.get(&pack.id) {
            Some(Fate::Whole) => {
                gone.insert(number);
            }
            Some(Fate::Rows(_)) if is_scanned => {
                sums.insert(number, Sums::default());
            }
            _ => {}
        }
    }
    if is_scanned {
        forget_pieces(index, condemned, &mut sums)?;
    }
    let gone: Vec<u32> = gone.into_iter().collect();
    index.cleaned(&gone, &sums, condemned.generation)
}

/// Lets the index forget pieces; adds up what stays of some packs.
fn forget_pieces(
    index: &Index,
    condemned: &Condemned,
    sums: &mut BTreeMap<u32, Sums>,
) -> Result<(), BlobError> {
    let mut last = None;
    loop {
        let step = index.after(last, STEP)?;
        let Some(end) = step.last() else {
            return Ok(());
        };
        last = Some(end.row.id);
        let (dead, kept): (Vec<_>, Vec<_>) = step
            .into_iter()
            .partition(|piece| condemned.has(piece.pack, piece.at));
        for piece in kept {
            if let Some(sums) = sums.get_mut(&piece.number) {
                sums.add(&piece.row);
            }
        }
        if !dead.is_empty() {
            index.forget(&dead)?;
        }
    }
}

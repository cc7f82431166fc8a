//! What there is: the packs, those that the index does not know, and pieces that lie in more than one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::answers::Asker;
use super::super::table;
use super::{Guard, Run, Watching};
use crate::backend::Backend;
use crate::condemned::Condemned;
use crate::index::{Location, PackInfo};
use crate::pack::PackId;
use crate::{BlobError, BlobId, blocking};

/// Pieces of the index that are looked at together.
pub(super) const STEP: usize = 8192;

/// The packs that are there with their lengths, without those that are condemned whole.
pub(in crate::store) async fn packs_there(
    backend: &dyn Backend,
    condemned: &Condemned,
) -> Result<BTreeMap<PackId, u64>, BlobError> {
    let objects = backend.list("packs").await?;
    let there = objects
        .iter()
        .filter_map(|object| Some((PackId::of_object(&object.name)?, object.size_bytes)));
    Ok(there.filter(|(id, _)| !condemned.is_whole(*id)).collect())
}

/// The packs as they were when the watch began.
pub(super) struct Survey {
    pub packs: BTreeMap<u32, PackInfo>,
    /// From this number on they may hold what has no root yet.
    pub first_pack: u32,
    /// Those below, that are young.
    pub young: BTreeSet<u32>,
    /// Those with pieces that the index finds elsewhere.
    pub with_copies: Vec<u32>,
    /// How many the index finds in each; those with none are not in it.
    found: BTreeMap<u32, u64>,
}

impl Survey {
    pub fn is_young(&self, number: u32) -> bool {
        number >= self.first_pack || self.young.contains(&number)
    }

    /// Whether the index finds nothing in it.
    pub fn is_emptied(&self, number: u32) -> bool {
        !self.found.contains_key(&number)
    }
}

impl Run<'_> {
    /// Makes packs known of which the index is ignorant: a put whose answer was an error left them. Unknown, they
    /// would come back at the next start and list what was collected.
    pub(super) async fn adopt(&mut self, guard: &mut Guard) -> Result<(), BlobError> {
        let inner = &self.store.inner;
        let there = packs_there(inner.backend.as_ref(), guard).await?;
        self.report.packs_before = there.len() as u64;
        self.report.packs_after = there.len() as u64;
        // In this order: a pack leaves the way when the index knows it.
        let on_their_way = inner.committer.on_their_way.now();
        let known = inner.index.packs();
        let unknown: Vec<_> = there
            .into_iter()
            .filter(|(id, _)| !known.contains_key(id) && !on_their_way.contains(id))
            .collect();
        let objects = unknown.iter().map(|(id, _)| id.object()).collect();
        inner.backend.make_durable(objects).await?;
        for (id, bytes) in unknown {
            let rows = table::read(inner.backend.as_ref(), &inner.keyring, id, bytes).await?;
            let Some(rows) = rows else {
                self.report.unreadable_packs.push(id.object());
                continue;
            };
            let (index, answers) = (Arc::clone(&inner.index), Arc::clone(&inner.answers));
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let kept = guard.kept(id, rows);
            blocking(move || {
                let ids: Vec<BlobId> = kept.iter().map(|(_, row)| row.id).collect();
                let found = answers.find(&index, &ids, Asker::Collector)?;
                // What is known stays where it is: others have noted where.
                let new = kept.into_iter().zip(found);
                let new: Vec<_> = new
                    .filter(|(_, found)| found.is_none())
                    .map(|(row, _)| row)
                    .collect();
                match index.packs().contains_key(&id) {
                    true => Ok(()),
                    false => index.add(id, bytes, count, &new),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Counts for each pack what the index finds in it, to see where copies are.
    pub(super) async fn survey(&self, guard: &Guard, watching: &Watching<'_>) -> Result<Survey, BlobError> {
        let index = &self.store.inner.index;
        let packs = index.numbered();
        let now_ms = index.now_ms();
        let grace_ms = u64::try_from(self.options.grace.as_millis()).unwrap_or(u64::MAX);
        let young = packs
            .iter()
            .filter(|(_, pack)| now_ms.saturating_sub(pack.seen_ms) < grace_ms);
        let young = young.map(|(number, _)| *number).collect();
        let mut found: BTreeMap<u32, u64> = BTreeMap::new();
        let mut last = None;
        loop {
            let step = self.step(&mut last).await?;
            if step.is_empty() {
                break;
            }
            for piece in step.iter().filter(|piece| !guard.has(piece.pack, piece.at)) {
                *found.entry(piece.number).or_default() += 1;
            }
        }
        let with_copies = packs.iter().filter(|(number, pack)| {
            let expected = u64::from(pack.rows).saturating_sub(guard.rows(pack.id));
            !guard.is_whole(pack.id) && found.get(number).copied().unwrap_or(0) < expected
        });
        let with_copies = with_copies.map(|(number, _)| *number).collect();
        Ok(Survey {
            packs,
            first_pack: watching.first_pack,
            young,
            with_copies,
            found,
        })
    }

    /// The next pieces of the index after the last one; none at the end.
    pub(super) async fn step(&self, last: &mut Option<BlobId>) -> Result<Vec<Location>, BlobError> {
        let index = Arc::clone(&self.store.inner.index);
        let after = *last;
        let step = blocking(move || index.after(after, STEP)).await?;
        *last = step.last().map(|piece| piece.row.id);
        Ok(step)
    }

    /// Pieces of a pack that the index finds elsewhere or not at all: as they lie here, and where it finds them.
    /// None if the pack's table is damaged: then no index ever takes them.
    pub(super) async fn copies(
        &self,
        number: u32,
        pack: &PackInfo,
        guard: &Guard,
    ) -> Result<Option<Vec<(Location, Option<Location>)>>, BlobError> {
        let inner = &self.store.inner;
        let rows = table::read(inner.backend.as_ref(), &inner.keyring, pack.id, pack.bytes).await?;
        let Some(rows) = rows else {
            return Ok(None);
        };
        let kept = guard.kept(pack.id, rows);
        let (index, answers, id) = (Arc::clone(&inner.index), Arc::clone(&inner.answers), pack.id);
        let copies = blocking(move || {
            let ids: Vec<BlobId> = kept.iter().map(|(_, row)| row.id).collect();
            // Without noting it: that it lies here is no use of it.
            let lease = answers.lease();
            let found = answers.find(&index, &ids, Asker::Reader(&lease))?;
            let here = kept.into_iter().map(|(at, row)| Location {
                pack: id,
                number,
                at,
                row,
            });
            let both = here.zip(found);
            Ok(both
                .filter(|(here, found)| {
                    found.is_none_or(|found| (found.pack, found.at) != (here.pack, here.at))
                })
                .collect())
        });
        Ok(Some(copies.await?))
    }
}

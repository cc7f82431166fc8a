//! What is in use: followed down from the roots, from what is young, and from what anybody was told.

use std::sync::Arc;

use bytes::Bytes;

use super::super::answers::{Asker, Watch};
use super::super::{BlobStore, links, read};
use super::survey::Survey;
use super::{Guard, Phase, Roots, Run, Watching, tell};
use crate::index::Location;
use crate::{BlobError, BlobId, blocking};

/// Nodes and records that are read together; each is at most 256 KiB.
const TOGETHER: usize = 64;

impl Run<'_> {
    pub(super) async fn mark_roots(&mut self, roots: &mut dyn Roots) -> Result<(), BlobError> {
        loop {
            let ids = roots.next().await?;
            if ids.is_empty() {
                return Ok(());
            }
            let found = use_all(self.store, ids.clone()).await?;
            let missing = ids.into_iter().zip(found).filter(|(_, found)| found.is_none());
            missing.for_each(|(id, _)| tell(&mut self.report.missing_roots, id));
            self.follow().await?;
        }
    }

    /// Everything in packs that are young, and what holders were told before the watch began.
    pub(super) async fn mark_young(
        &mut self,
        survey: &Survey,
        watching: &Watching<'_>,
        guard: &Guard,
    ) -> Result<(), BlobError> {
        let mut last = None;
        loop {
            let step = self.step(&mut last).await?;
            if step.is_empty() {
                break;
            }
            self.store.inner.answers.watch(|watch| {
                let used = step.iter().filter(|piece| {
                    (survey.is_young(piece.number) || watching.said.contains(piece.number, piece.at))
                        && !guard.has(piece.pack, piece.at)
                });
                used.for_each(|piece| watch.mark(piece));
            });
            self.follow().await?;
        }
        // A copy in a young pack would come back with the pack if its piece went.
        for number in survey
            .with_copies
            .iter()
            .filter(|number| survey.is_young(**number))
        {
            let Some(pack) = survey.packs.get(number) else {
                continue;
            };
            let copies = self.copies(*number, pack, guard).await?.unwrap_or_default();
            self.store.inner.answers.watch(|watch| {
                let found = copies.iter().filter_map(|(_, found)| found.as_ref());
                found.for_each(|piece| watch.mark(piece));
            });
            self.follow().await?;
        }
        Ok(())
    }

    /// Follows links until nothing that is marked is open.
    pub(super) async fn follow(&mut self) -> Result<(), BlobError> {
        let answers = Arc::clone(&self.store.inner.answers);
        loop {
            let open = answers.watch(|watch: &mut Watch| {
                let from = watch.open.len().saturating_sub(TOGETHER);
                (watch.open.split_off(from), watch.marks.count())
            });
            let (open, done) = open.unwrap_or_default();
            if open.is_empty() {
                return Ok(());
            }
            self.at(Phase::Marking, done, None);
            let found = use_all(self.store, open).await?;
            for (piece, bytes) in read_each(self.store, found.into_iter().flatten().collect()).await? {
                let Some(bytes) = bytes else {
                    tell(&mut self.report.damaged, piece.row.id);
                    continue;
                };
                let listed = links::listed(piece.row.kind, &bytes);
                let found = use_all(self.store, listed.clone()).await?;
                let missing = listed.into_iter().zip(found).filter(|(_, found)| found.is_none());
                missing.for_each(|(id, _)| tell(&mut self.report.missing, id));
            }
        }
    }
}

/// Where pieces lie; each is in use.
async fn use_all(store: &BlobStore, ids: Vec<BlobId>) -> Result<Vec<Option<Location>>, BlobError> {
    let (index, answers) = (Arc::clone(&store.inner.index), Arc::clone(&store.inner.answers));
    blocking(move || answers.find(&index, &ids, Asker::Collector)).await
}

/// Pieces with their bytes, verified; None for one that is damaged.
pub(in crate::store) async fn read_each(
    store: &BlobStore,
    pieces: Vec<Location>,
) -> Result<Vec<(Location, Option<Bytes>)>, BlobError> {
    match read::read_located(store, pieces.clone()).await {
        Ok(read) => return Ok(pieces.into_iter().zip(read.into_iter().map(Some)).collect()),
        Err(BlobError::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    // One of them is; which one is found by reading them alone.
    let mut each = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let read = match read::read_located(store, vec![piece]).await {
            Ok(mut read) => read.pop(),
            Err(BlobError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        each.push((piece, read));
    }
    Ok(each)
}

//! Who lists what is damaged, all the way up; and what is damaged below a root.

use std::sync::Arc;

use super::super::collect::read_each;
use super::super::links;
use super::packs::STEP;
use super::{Check, Phase};
use crate::index::Location;
use crate::piece::Kind;
use crate::{BlobError, BlobId, blocking};

impl Check<'_> {
    /// Counts nodes and records as bad that list something bad or missing, until there is no other. Each pass
    /// reads all of them once, and there are as many as levels between the damage and the highest record; where
    /// nothing is damaged there is none.
    pub(super) async fn trace(&mut self) -> Result<(), BlobError> {
        let mut is_changed = !self.bad.is_empty();
        while is_changed {
            is_changed = false;
            let (mut last, mut done) = (None, 0);
            while let Some(step) = self.step(&mut last).await? {
                done += step.len() as u64;
                self.at(Phase::Tracing, done, None);
                let listing = step.into_iter().filter(|piece| {
                    piece.row.kind != Kind::Chunk && !self.bad.contains(piece.number, piece.at)
                });
                for some in listing.collect::<Vec<_>>().chunks(64) {
                    is_changed |= self.pass(some).await?;
                }
            }
        }
        Ok(())
    }

    async fn pass(&mut self, pieces: &[Location]) -> Result<bool, BlobError> {
        let mut is_changed = false;
        for (piece, bytes) in read_each(self.store, pieces.to_vec()).await? {
            let is_bad = match bytes {
                Some(bytes) => {
                    let found = self.places(links::listed(piece.row.kind, &bytes)).await?;
                    let mut bad = found
                        .iter()
                        .map(|found| found.is_none_or(|found| self.bad.contains(found.number, found.at)));
                    bad.any(|is_bad| is_bad)
                }
                None => self.damaged.insert(piece.number, piece.at),
            };
            is_changed |= is_bad && self.bad.insert(piece.number, piece.at);
        }
        Ok(is_changed)
    }

    pub(super) async fn step(&self, last: &mut Option<BlobId>) -> Result<Option<Vec<Location>>, BlobError> {
        let (index, after) = (Arc::clone(&self.store.inner.index), *last);
        let step = blocking(move || index.after(after, STEP)).await?;
        *last = step.last().map(|piece| piece.row.id);
        Ok((!step.is_empty()).then_some(step))
    }

    /// Lets the index remember what is bad; all else counts as good again if everything was looked at. What was
    /// written anew meanwhile lies elsewhere, and is not meant.
    pub(super) async fn remember(&self, is_everything: bool) -> Result<(), BlobError> {
        let index = Arc::clone(&self.store.inner.index);
        if is_everything {
            blocking(move || index.clear_defects()).await?;
        }
        let mut last = None;
        while !self.bad.is_empty()
            && let Some(step) = self.step(&mut last).await?
        {
            let bad = step
                .iter()
                .filter(|piece| self.bad.contains(piece.number, piece.at));
            let bad: Vec<BlobId> = bad.map(|piece| piece.row.id).collect();
            let index = Arc::clone(&self.store.inner.index);
            blocking(move || index.set_defective(&bad, true)).await?;
        }
        Ok(())
    }

    /// What is damaged or missing below a root, up to a limit. Only what is bad is followed, so it costs what it
    /// finds.
    pub(super) async fn below(&self, root: BlobId, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        let mut below = Vec::new();
        let mut open = vec![root];
        let mut visited = crate::marks::Marks::default();
        while let Some(id) = open.pop() {
            if below.len() >= limit {
                break;
            }
            let Some(piece) = self.places(vec![id]).await?.pop().flatten() else {
                below.push(id);
                continue;
            };
            let place = (piece.number, piece.at);
            if !self.bad.contains(place.0, place.1) || !visited.insert(place.0, place.1) {
                continue;
            }
            let read = read_each(self.store, vec![piece]).await?.pop();
            match read.and_then(|(_, bytes)| bytes) {
                Some(bytes) => open.extend(links::listed(piece.row.kind, &bytes)),
                None => below.push(id),
            }
        }
        Ok(below)
    }
}

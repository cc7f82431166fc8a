//! What is not in use, and the moment at which it is condemned.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mark::read_each;
use super::survey::Survey;
use super::{Guard, Phase, Run, Skipped, Watching, tell};
use crate::BlobError;
use crate::condemned::Fate;
use crate::index::Location;
use crate::marks::Marks;
use crate::pack::PackId;

/// What was not marked when everything was looked through.
pub(super) struct Swept {
    pub unused: Marks,
    /// Bytes of pieces that are needed, of packs that are not young.
    pub needed_bytes: BTreeMap<u32, u64>,
}

impl Run<'_> {
    /// Beside the copies that are.
    pub(super) async fn sweep(
        &mut self,
        survey: &Survey,
        guard: &Guard,
        copies: Marks,
    ) -> Result<Swept, BlobError> {
        let mut swept = Swept {
            unused: copies,
            needed_bytes: BTreeMap::new(),
        };
        for number in survey.packs.keys().filter(|number| !survey.is_young(**number)) {
            swept.needed_bytes.insert(*number, 0);
        }
        let answers = Arc::clone(&self.store.inner.answers);
        let (mut last, mut done) = (None, 0);
        loop {
            let step = self.step(&mut last).await?;
            if step.is_empty() {
                return Ok(swept);
            }
            done += step.len() as u64;
            self.at(Phase::Sweeping, done, None);
            let step = step.into_iter().filter(|piece| !guard.has(piece.pack, piece.at));
            answers.watch(|watch| {
                for piece in step {
                    let bytes = u64::from(piece.row.sealed_bytes);
                    if survey.is_young(piece.number) || watch.marks.contains(piece.number, piece.at) {
                        self.report.kept_pieces += 1;
                        self.report.kept_bytes += bytes;
                        if let Some(needed) = swept.needed_bytes.get_mut(&piece.number) {
                            *needed += bytes;
                        }
                    } else {
                        self.report.removed_pieces += 1;
                        self.report.removed_bytes += bytes;
                        swept.unused.insert(piece.number, piece.at);
                    }
                }
            });
        }
    }

    /// Of a piece that lies twice, the copy that the index does not find goes, once the other was seen to be good.
    /// Before links are followed: a record may be readable only where the index did not find it.
    pub(super) async fn sweep_copies(
        &mut self,
        survey: &Survey,
        guard: &Guard,
        watching: &mut Watching<'_>,
    ) -> Result<Marks, BlobError> {
        let mut unused = Marks::default();
        for number in survey
            .with_copies
            .iter()
            .filter(|number| !survey.is_young(**number))
        {
            let Some(pack) = survey.packs.get(number) else {
                continue;
            };
            let Some(copies) = self.copies(*number, pack, guard).await? else {
                if survey.is_emptied(*number) {
                    self.report.unreadable_packs.push(pack.id.object());
                }
                continue;
            };
            for (here, found) in copies {
                let Some(found) = found else {
                    unused.insert(here.number, here.at);
                    continue;
                };
                if self.is_good(found).await? {
                    unused.insert(here.number, here.at);
                } else if self.is_good(here).await? {
                    if !self.options.dry_run {
                        self.find_at(found, here, watching)?;
                    }
                    unused.insert(found.number, found.at);
                } else {
                    tell(&mut self.report.damaged, here.row.id);
                }
            }
        }
        Ok(unused)
    }

    /// What nobody can read, and nobody misses, goes too.
    pub(super) fn condemn_unreadable(&self, guard: &mut Guard) {
        let packs = self.report.unreadable_packs.iter();
        for id in packs.filter_map(|name| PackId::of_object(name)) {
            if self.report.is_complete() {
                guard.packs.insert(id, Fate::Whole);
                guard.is_unsaved = true;
            }
        }
    }

    async fn is_good(&self, piece: Location) -> Result<bool, BlobError> {
        let read = read_each(self.store, vec![piece]).await?;
        Ok(read.iter().all(|(_, bytes)| bytes.is_some()))
    }

    /// From now on the piece is found at another place where it lies.
    fn find_at(&self, from: Location, to: Location, watching: &mut Watching<'_>) -> Result<(), BlobError> {
        if watching.said.contains(from.number, from.at) {
            watching.said.insert(to.number, to.at);
        }
        let inner = &self.store.inner;
        let places = vec![((from.number, from.at), (to.number, to.at))];
        inner
            .answers
            .moved(|| inner.index.point(to.number, to.at, &to.row), |()| places)?;
        Ok(())
    }

    /// Condemns what is unused, once nothing that was marked meanwhile is open. It runs to its end though the
    /// collection be dropped: what may be durable must be obeyed.
    pub(super) async fn condemn(
        &mut self,
        mut guard: Guard,
        survey: &Survey,
        unused: Marks,
    ) -> Result<Guard, BlobError> {
        let ids: BTreeMap<u32, _> = survey
            .packs
            .iter()
            .map(|(number, pack)| (*number, (pack.id, pack.rows)))
            .collect();
        let (unused, ids) = (Arc::new(unused), Arc::new(ids));
        loop {
            self.follow().await?;
            if !self.report.is_complete() && !self.options.despite_missing {
                self.report.skipped.push(Skipped::Incomplete);
                return Ok(guard);
            }
            let (inner, is_shared) = (Arc::clone(&self.store.inner), self.options.is_shared);
            let (unused, ids) = (Arc::clone(&unused), Arc::clone(&ids));
            let task = tokio::spawn(async move {
                let Some(dead) = inner.answers.condemn(&unused) else {
                    return (guard, None);
                };
                for (number, bits) in dead.packs() {
                    if let Some((pack, rows)) = ids.get(&number) {
                        guard.add_rows(*pack, bits);
                        if guard.rows(*pack) == u64::from(*rows) {
                            guard.packs.insert(*pack, Fate::Whole);
                        }
                    }
                }
                let saved = match dead.is_empty() {
                    true => Ok(()),
                    false => {
                        guard
                            .save(inner.backend.as_ref(), &inner.keyring, &inner.index, is_shared)
                            .await
                    }
                };
                (guard, Some(saved))
            });
            let (back, saved) = task.await.map_err(|error| BlobError::Io {
                action: "finish work on",
                path: "the blobs".to_owned(),
                message: error.to_string(),
            })?;
            guard = back;
            if let Some(saved) = saved {
                return saved.map(|()| guard);
            }
        }
    }
}

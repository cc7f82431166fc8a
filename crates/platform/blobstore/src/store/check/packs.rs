//! Packs and the index, held against each other and against the bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::answers::Asker;
use super::super::collect::{read_each, read_sealed};
use super::super::{links, table};
use super::{Check, Finding, Guard};
use crate::index::{Location, PackInfo};
use crate::pack::Row;
use crate::piece::Kind;
use crate::{BlobError, BlobId, blocking};

/// Pieces of the index that are looked at together.
pub(super) const STEP: usize = 8192;

impl Check<'_> {
    /// A pack that is there at its full length; answers whether its table can be read.
    pub(super) async fn pack(
        &mut self,
        number: u32,
        pack: &PackInfo,
        guard: &Guard,
    ) -> Result<bool, BlobError> {
        let inner = &self.store.inner;
        self.report.packs += 1;
        let rows = table::read(inner.backend.as_ref(), &inner.keyring, pack.id, pack.bytes).await?;
        let Some(rows) = rows else {
            // Its pieces are found by the index, and looked at from there.
            return Ok(false);
        };
        let kept = guard.kept(pack.id, rows);
        self.report.pieces += kept.len() as u64;
        let found = self.places(kept.iter().map(|(_, row)| row.id).collect()).await?;
        let mut here = Vec::with_capacity(kept.len());
        let mut copies = Vec::new();
        for ((at, row), found) in kept.into_iter().zip(found) {
            match found {
                Some(found) if (found.number, found.at) == (number, at) && found.row == row => {
                    self.seen.insert(number, at);
                    here.push(found);
                }
                Some(found) if (found.number, found.at) == (number, at) => {}
                Some(found) => copies.push((location(pack, number, at, row), found)),
                None => {
                    let pack = pack.id.object();
                    self.find(Finding::NotIndexed { id: row.id, pack });
                }
            }
        }
        if self.quick {
            return Ok(true);
        }
        self.open(here).await?;
        self.open_copies(copies).await?;
        self.pause(pack.bytes).await;
        Ok(true)
    }

    /// Copies that the index does not find. A damaged one is none that anybody reads, as long as the other is good.
    async fn open_copies(&mut self, copies: Vec<(Location, Location)>) -> Result<(), BlobError> {
        let elsewhere: BTreeMap<u32, Location> =
            copies.iter().map(|(copy, found)| (copy.at, *found)).collect();
        let copies = copies.into_iter().map(|(copy, _)| copy).collect();
        for copy in read_sealed(self.store, copies).await?.1 {
            let Some(found) = elsewhere.get(&copy.at) else {
                continue;
            };
            let read = read_each(self.store, vec![*found]).await?;
            if read.iter().all(|(_, bytes)| bytes.is_some()) {
                self.report.waiting += 1;
            } else {
                self.find(Finding::Damaged {
                    id: copy.row.id,
                    kind: copy.row.kind,
                    pack: copy.pack.object(),
                });
            }
        }
        Ok(())
    }

    /// Every piece that the index finds and that was not seen where it says.
    pub(super) async fn index(
        &mut self,
        packs: &BTreeMap<u32, PackInfo>,
        guard: &Guard,
    ) -> Result<(), BlobError> {
        let mut last = None;
        loop {
            let (index, after) = (Arc::clone(&self.store.inner.index), last);
            let step = blocking(move || index.after(after, STEP)).await?;
            let Some(end) = step.last() else {
                return Ok(());
            };
            last = Some(end.row.id);
            let unseen = step.into_iter().filter(|piece| {
                packs.contains_key(&piece.number)
                    && !guard.has(piece.pack, piece.at)
                    && !self.seen.contains(piece.number, piece.at)
            });
            let mut of_packs: BTreeMap<u32, Vec<Location>> = BTreeMap::new();
            unseen.for_each(|piece| of_packs.entry(piece.number).or_default().push(piece));
            for (number, pieces) in of_packs {
                if self.suspects.contains_key(&number) {
                    self.suspect(number, pieces).await?;
                    continue;
                }
                for piece in &pieces {
                    let pack = piece.pack.object();
                    self.find(Finding::Misplaced {
                        id: piece.row.id,
                        pack,
                    });
                }
                // It may be readable there all the same.
                if !self.quick {
                    self.open(pieces).await?;
                }
            }
        }
    }

    /// Opens pieces of one pack, and resolves what they list.
    pub(super) async fn open(&mut self, pieces: Vec<Location>) -> Result<(), BlobError> {
        let (good, bad) = read_sealed(self.store, pieces).await?;
        for piece in bad {
            self.damaged.insert(piece.number, piece.at);
            self.bad.insert(piece.number, piece.at);
            self.find(Finding::Damaged {
                id: piece.row.id,
                kind: piece.row.kind,
                pack: piece.pack.object(),
            });
        }
        let opened: u64 = good
            .iter()
            .map(|(piece, _)| u64::from(piece.row.sealed_bytes))
            .sum();
        self.report.bytes += opened;
        let listing = good.into_iter().map(|(piece, _)| piece);
        let listing: Vec<Location> = listing.filter(|piece| piece.row.kind != Kind::Chunk).collect();
        for some in listing.chunks(64) {
            for (piece, bytes) in read_each(self.store, some.to_vec()).await? {
                let listed = bytes.map(|bytes| links::listed(piece.row.kind, &bytes));
                let listed = listed.unwrap_or_default();
                let found = self.places(listed.clone()).await?;
                let missing = listed.into_iter().zip(found).filter(|(_, found)| found.is_none());
                for (child, _) in missing {
                    self.bad.insert(piece.number, piece.at);
                    self.find(Finding::Incomplete {
                        id: piece.row.id,
                        child,
                    });
                }
            }
        }
        Ok(())
    }

    /// Where pieces lie, for somebody who only looks.
    pub(super) async fn places(&self, ids: Vec<BlobId>) -> Result<Vec<Option<Location>>, BlobError> {
        let inner = &self.store.inner;
        let (index, answers) = (Arc::clone(&inner.index), Arc::clone(&inner.answers));
        let lease = answers.lease();
        blocking(move || answers.find(&index, &ids, Asker::Reader(&lease))).await
    }

    /// As long as so many bytes are to take.
    async fn pause(&self, bytes: u64) {
        if let Some(rate) = self.bytes_per_second {
            let millis = bytes.saturating_mul(1000) / rate.max(1);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

const fn location(pack: &PackInfo, number: u32, at: u32, row: Row) -> Location {
    Location {
        pack: pack.id,
        number,
        at,
        row,
    }
}

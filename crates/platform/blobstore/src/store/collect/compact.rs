//! Packs of which little is needed, and small ones: what is needed is written to new packs, as it is sealed.
//!
//! A piece is sealed for what it is and not for where it lies, so it moves as it is, under the key that it has.
//! It is opened and compared with its id all the same: of what is damaged the old copy stays.

use std::sync::Arc;

use bytes::BytesMut;

use super::super::{read, table};
use super::sweep::Swept;
use super::{Guard, Phase, Run, Skipped, tell};
use crate::condemned::Fate;
use crate::index::{Location, Move, PackInfo};
use crate::pack::{PACK_BYTES, PackId, SealedBatch, open_piece, pack};
use crate::{BlobError, BlobId, blocking};

/// Pieces on their way to a new pack.
#[derive(Default)]
pub(in crate::store) struct Moving {
    batch: SealedBatch,
    moves: Vec<Move>,
    /// Packs of which nothing else is needed.
    emptied: Vec<PackId>,
}

impl Moving {
    /// Adds pieces with their sealed bytes.
    pub fn add(
        &mut self,
        pieces: Vec<(Location, BytesMut)>,
        emptied: Option<PackId>,
    ) -> Result<(), BlobError> {
        for (piece, sealed) in pieces {
            let offset = u32::try_from(self.batch.bytes.len()).map_err(|_| BlobError::BadPiece {
                problem: "a pack would be larger than 4 GiB".to_owned(),
            })?;
            self.batch.bytes.extend_from_slice(&sealed);
            let mut row = piece.row;
            row.offset = offset;
            self.batch.rows.push(row);
            self.moves.push(Move {
                from: (piece.number, piece.at),
                row,
            });
        }
        self.emptied.extend(emptied);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.batch.bytes.len() >= PACK_BYTES
    }
}

impl Run<'_> {
    /// The packs to write anew, emptiest first, within the limit.
    pub(super) fn plan(&mut self, guard: &Guard, swept: &Swept) -> Vec<(u32, PackInfo)> {
        let packs = self.store.inner.index.numbered();
        let mut chosen: Vec<(u64, u32, PackInfo, bool)> = Vec::new();
        for (number, needed) in &swept.needed_bytes {
            let Some(pack) = packs.get(number).filter(|pack| !guard.is_whole(pack.id)) else {
                continue;
            };
            let percent = needed.saturating_mul(100) / pack.bytes.max(1);
            let is_sparse = percent < u64::from(self.options.live_percent);
            if is_sparse || pack.bytes < self.options.small_bytes {
                chosen.push((percent, *number, *pack, is_sparse));
            }
        }
        // A lone small pack would be written anew each time.
        if chosen.len() < 2 {
            chosen.retain(|(_, _, _, is_sparse)| *is_sparse);
        }
        chosen.sort_by_key(|(percent, number, _, _)| (*percent, *number));
        let (mut bytes, all) = (0_u64, chosen.len());
        let within = chosen.into_iter().take_while(|(_, number, _, _)| {
            bytes += swept.needed_bytes.get(number).copied().unwrap_or(0);
            bytes <= self.options.rewrite_limit_bytes
        });
        let within: Vec<_> = within.map(|(_, number, pack, _)| (number, pack)).collect();
        if within.len() < all {
            let packs = (all - within.len()) as u64;
            self.report.skipped.push(Skipped::Limit { packs });
        }
        within
    }

    pub(super) async fn compact(&mut self, mut guard: Guard, swept: &Swept) -> Result<Guard, BlobError> {
        let plan = self.plan(&guard, swept);
        let mut moving = Moving::default();
        let mut emptied = Vec::new();
        for (done, (number, pack)) in (0..).zip(&plan) {
            self.at(Phase::Compacting, done, Some(plan.len() as u64));
            match self.take(*number, pack, &guard).await? {
                Some(pieces) => moving.add(pieces, Some(pack.id))?,
                None => {
                    let pack = pack.id.object();
                    self.report.skipped.push(Skipped::Damaged { pack });
                    continue;
                }
            }
            if moving.is_full() {
                guard = self.write(guard, &mut moving, &mut emptied).await?;
            }
            if self.report.skipped.contains(&Skipped::StorageFull) {
                break;
            }
        }
        guard = self.write(guard, &mut moving, &mut emptied).await?;
        if emptied.is_empty() {
            return Ok(guard);
        }
        for id in emptied {
            guard.packs.insert(id, Fate::Whole);
            guard.is_unsaved = true;
        }
        self.settle(guard).await
    }

    /// Writes what was gathered. It runs to its end though the collection be dropped: a pack that came to light
    /// after the next one had looked at what there is would bring back what that one condemns.
    async fn write(
        &mut self,
        guard: Guard,
        moving: &mut Moving,
        emptied: &mut Vec<PackId>,
    ) -> Result<Guard, BlobError> {
        let moving = std::mem::take(moving);
        let (packs, bytes) = (moving.emptied.clone(), moving.batch.bytes.len() as u64);
        let store = self.store.clone();
        let task = tokio::spawn(async move { (write_moved(&store, moving).await, guard) });
        let (written, guard) = task.await.map_err(|error| BlobError::Io {
            action: "finish work on",
            path: "the blobs".to_owned(),
            message: error.to_string(),
        })?;
        match written {
            Ok(()) => {
                self.report.packs_rewritten += packs.len() as u64;
                self.report.rewritten_bytes += bytes;
                emptied.extend(packs);
            }
            Err(BlobError::StorageFull) => self.report.skipped.push(Skipped::StorageFull),
            Err(error) => return Err(error),
        }
        Ok(guard)
    }

    /// The pieces of a pack that are needed, sealed as they are; None if the pack must stay as it is.
    async fn take(
        &mut self,
        number: u32,
        pack: &PackInfo,
        guard: &Guard,
    ) -> Result<Option<Vec<(Location, BytesMut)>>, BlobError> {
        let inner = &self.store.inner;
        let rows = table::read(inner.backend.as_ref(), &inner.keyring, pack.id, pack.bytes).await?;
        let Some(rows) = rows else {
            return Ok(None);
        };
        let kept = guard.kept(pack.id, rows);
        let index = Arc::clone(&inner.index);
        let ids: Vec<BlobId> = kept.iter().map(|(_, row)| row.id).collect();
        let found = blocking(move || index.find(&ids)).await?;
        let mut here = Vec::with_capacity(kept.len());
        for ((at, row), found) in kept.into_iter().zip(found) {
            match found {
                Some(found) if (found.number, found.at) == (number, at) => here.push(found),
                // It was written anew since: it may go from here if it is good there.
                Some(found) if !damaged(self.store, vec![found]).await?.is_empty() => return Ok(None),
                Some(_) => {}
                None => {
                    tracing::warn!(id = %row.id, "a piece that nobody knows keeps its pack");
                    return Ok(None);
                }
            }
        }
        let (good, bad) = read_sealed(self.store, here).await?;
        if bad.is_empty() {
            return Ok(Some(good));
        }
        let ids: Vec<BlobId> = bad.iter().map(|piece| piece.row.id).collect();
        ids.iter().for_each(|id| tell(&mut self.report.damaged, *id));
        let index = Arc::clone(&inner.index);
        blocking(move || index.set_defective(&ids, true)).await?;
        Ok(None)
    }
}

/// Those of the pieces that are damaged.
async fn damaged(store: &crate::BlobStore, pieces: Vec<Location>) -> Result<Vec<Location>, BlobError> {
    Ok(read_sealed(store, pieces).await?.1)
}

/// Pieces of a pack as they are sealed.
type Sealed = Vec<(Location, BytesMut)>;

/// Pieces of one pack as they are sealed, each opened and compared with its id; and those that are damaged.
pub(in crate::store) async fn read_sealed(
    store: &crate::BlobStore,
    pieces: Vec<Location>,
) -> Result<(Sealed, Vec<Location>), BlobError> {
    let Some(pack) = pieces.first().map(|piece| piece.pack.object()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (good, bad) = read_once(store, pieces.clone()).await?;
    // Perhaps only a copy that was kept nearby is damaged.
    if !bad.is_empty() && store.inner.backend.distrust(&pack).await {
        return read_once(store, pieces).await;
    }
    Ok((good, bad))
}

async fn read_once(
    store: &crate::BlobStore,
    pieces: Vec<Location>,
) -> Result<(Sealed, Vec<Location>), BlobError> {
    let (mut good, mut bad) = (Vec::with_capacity(pieces.len()), Vec::new());
    for (piece, sealed) in read::sealed(store, pieces).await? {
        match sealed {
            Some(sealed) => good.push((piece, sealed)),
            None => bad.push(piece),
        }
    }
    let keyring = Arc::clone(&store.inner.keyring);
    blocking(move || {
        let mut opened = Vec::with_capacity(good.len());
        for (piece, sealed) in good {
            match open_piece(&piece.row, keyring.get(piece.row.key)?.as_ref(), sealed.clone()) {
                Ok(_) => opened.push((piece, sealed)),
                Err(_) => bad.push(piece),
            }
        }
        Ok((opened, bad))
    })
    .await
}

/// Writes a new pack; once it is durable the pieces are found in it.
pub(in crate::store) async fn write_moved(store: &crate::BlobStore, moving: Moving) -> Result<(), BlobError> {
    if moving.moves.is_empty() {
        return Ok(());
    }
    let inner = &store.inner;
    let (key, seal) = inner.keyring.current(1)?;
    let batch = moving.batch;
    let mut packed = blocking(move || pack(vec![batch], key, &seal)).await?;
    let parts = std::mem::take(&mut packed.parts);
    inner.keyring.settle().await?;
    inner.backend.put(&packed.id.object(), parts).await?;
    let (index, answers) = (Arc::clone(&inner.index), Arc::clone(&inner.answers));
    let mut moves = moving.moves;
    for (one, row) in moves.iter_mut().zip(&packed.rows) {
        one.row = *row;
    }
    blocking(move || {
        answers.moved(
            || index.repoint(packed.id, packed.bytes, &moves),
            |number| {
                let places = (0..).zip(&moves);
                places.map(|(at, one)| (one.from, (*number, at))).collect()
            },
        )
    })
    .await?;
    Ok(())
}

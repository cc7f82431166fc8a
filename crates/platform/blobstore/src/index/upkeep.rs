//! What collection and checks need of the index: going through all of it, forgetting, pointing elsewhere, and
//! remembering what is damaged.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use fjall::PersistMode;

use super::{Index, Location, PackInfo, Sums, corrupt, parse_piece, piece_value};
use crate::pack::{PackId, Row};
use crate::{BlobError, BlobId};

/// A piece that was copied to another pack: where it was, and its row there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub from: (u32, u32),
    pub row: Row,
}

impl Index {
    /// The packs by their numbers.
    pub fn numbered(&self) -> BTreeMap<u32, PackInfo> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        numbers.clone()
    }

    /// The number that the next pack gets.
    pub fn next_number(&self) -> u32 {
        self.next.load(Ordering::SeqCst)
    }

    /// Up to so many pieces after an id, in the order of ids. A walk in such steps keeps no lock between them:
    /// what is added behind it meanwhile is not seen.
    pub fn after(&self, id: Option<BlobId>, limit: usize) -> Result<Vec<Location>, BlobError> {
        self.with_tables(|tables| {
            let start = id.map_or(Bound::Unbounded, |id| Bound::Excluded(id.digest().to_vec()));
            let mut found = Vec::new();
            // Before the pieces are looked at: no pack is forgotten between.
            let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
            let range = tables.pieces.range::<Vec<u8>, _>((start, Bound::Unbounded));
            for guard in range.take(limit) {
                let value = guard.value().map_err(|error| self.failed("read", &error))?;
                found.push(parse_piece(&numbers, &value).ok_or_else(|| corrupt(&self.path))?);
            }
            Ok(found)
        })
    }

    /// Forgets pieces, but for those that lie elsewhere by now: somebody has stored them anew.
    pub fn forget(&self, pieces: &[Location]) -> Result<(), BlobError> {
        self.change(|tables, numbers| {
            let mut batch = tables.db.batch();
            for piece in pieces {
                let key = piece.row.id.digest();
                let value = tables
                    .pieces
                    .get(key)
                    .map_err(|error| self.failed("read", &error))?;
                let now = value.and_then(|value| parse_piece(numbers, &value));
                if now.is_some_and(|now| (now.number, now.at) == (piece.number, piece.at)) {
                    batch.remove(&tables.pieces, key);
                    batch.remove(&tables.defects, key);
                }
            }
            batch.commit().map_err(|error| self.failed("write", &error))
        })
    }

    /// Makes a durable pack of copies known. A piece that has moved on meanwhile stays where it is.
    pub fn repoint(&self, id: PackId, bytes: u64, moves: &[Move]) -> Result<u32, BlobError> {
        self.change(|tables, numbers| {
            let number = self.next_number();
            let mut batch = tables.db.batch();
            let mut sums = Sums::default();
            for (at, one) in (0..).zip(moves) {
                let key = one.row.id.digest();
                let value = tables
                    .pieces
                    .get(key)
                    .map_err(|error| self.failed("read", &error))?;
                let now = value.and_then(|value| parse_piece(numbers, &value));
                if now.is_some_and(|now| (now.number, now.at) == one.from) {
                    sums.add(&one.row);
                    batch.insert(&tables.pieces, key, piece_value(number, at, &one.row));
                }
            }
            let info = PackInfo {
                id,
                bytes,
                rows: u32::try_from(moves.len()).unwrap_or(u32::MAX),
                seen_ms: self.now_ms(),
                sums,
            };
            batch.insert(&tables.packs, number.to_be_bytes(), info.encode());
            batch.commit().map_err(|error| self.failed("write", &error))?;
            numbers.insert(number, info);
            self.next.store(number + 1, Ordering::SeqCst);
            Ok(number)
        })
    }

    /// Lets a piece be found at another place where it lies too.
    pub fn point(&self, number: u32, at: u32, row: &Row) -> Result<(), BlobError> {
        self.change(|tables, _| {
            let mut batch = tables.db.batch();
            batch.insert(&tables.pieces, row.id.digest(), piece_value(number, at, row));
            batch.remove(&tables.defects, row.id.digest());
            batch.commit().map_err(|error| self.failed("write", &error))
        })
    }

    /// Forgets packs that no piece is found in any more, sets the sums of others, and notes the generation up
    /// to which it has forgotten what is condemned.
    pub fn cleaned(
        &self,
        gone: &[u32],
        sums: &BTreeMap<u32, Sums>,
        generation: u64,
    ) -> Result<(), BlobError> {
        self.change(|tables, numbers| {
            let mut batch = tables.db.batch();
            for number in gone {
                batch.remove(&tables.packs, number.to_be_bytes());
            }
            let mut changed = Vec::new();
            for (number, sums) in sums {
                if let Some(info) = numbers.get(number) {
                    let info = PackInfo { sums: *sums, ..*info };
                    batch.insert(&tables.packs, number.to_be_bytes(), info.encode());
                    changed.push((*number, info));
                }
            }
            batch.insert(&tables.notes, GENERATION, generation.to_be_bytes());
            batch.commit().map_err(|error| self.failed("write", &error))?;
            numbers.extend(changed);
            for number in gone {
                numbers.remove(number);
            }
            Ok(())
        })
    }

    /// The generation up to which what is condemned was forgotten.
    pub fn generation(&self) -> Result<u64, BlobError> {
        let note = self.note(GENERATION)?;
        Ok(note
            .and_then(|note| note.try_into().ok())
            .map_or(0, u64::from_be_bytes))
    }

    /// Its own name: another one has another.
    pub fn id(&self) -> Result<[u8; 16], BlobError> {
        if let Some(id) = self.note(ID)?.and_then(|id| id.try_into().ok()) {
            return Ok(id);
        }
        let PackId(id) = PackId::random()?;
        self.change(|tables, _| {
            let done = tables.notes.insert(ID, id);
            done.map_err(|error| self.failed("write", &error))
        })?;
        Ok(id)
    }

    /// Makes what it knows durable; by itself it may lag behind after a power cut. A sync that failed is not tried
    /// again: the next would say that all is well. The index is made anew when it is opened next.
    pub fn persist(&self) -> Result<(), BlobError> {
        if self.is_doubtful.load(Ordering::SeqCst) {
            return Err(BlobError::Io {
                action: "sync",
                path: self.path.display().to_string(),
                message: "an earlier sync failed; start again, and the index is made anew from the packs"
                    .to_owned(),
            });
        }
        // A disk that is full refuses this already, and it may be tried again.
        self.change(|tables, _| {
            let done = tables.db.persist(PersistMode::Buffer);
            done.map_err(|error| self.failed("write", &error))
        })?;
        let synced = self.change(|tables, _| {
            let done = tables.db.persist(PersistMode::SyncAll);
            done.map_err(|error| self.failed("sync", &error))
        });
        if synced.is_err() {
            self.is_doubtful.store(true, Ordering::SeqCst);
            self.doubt();
        }
        synced
    }

    /// Where scrubbing stopped: the last pack that it went through.
    pub fn scrubbed(&self) -> Result<Option<PackId>, BlobError> {
        let note = self.note(SCRUBBED)?;
        Ok(note.and_then(|note| note.try_into().ok()).map(PackId))
    }

    /// Notes where scrubbing stopped; None for the beginning.
    pub fn set_scrubbed(&self, pack: Option<PackId>) -> Result<(), BlobError> {
        self.change(|tables, _| {
            let done = match pack {
                Some(pack) => tables.notes.insert(SCRUBBED, pack.0),
                None => tables.notes.remove(SCRUBBED),
            };
            done.map_err(|error| self.failed("write", &error))
        })
    }

    fn note(&self, key: &str) -> Result<Option<Vec<u8>>, BlobError> {
        self.with_tables(|tables| {
            let note = tables
                .notes
                .get(key)
                .map_err(|error| self.failed("read", &error))?;
            Ok(note.map(|note| note.to_vec()))
        })
    }

    /// Which of the ids are known as damaged, or to list what is.
    pub fn defective(&self, ids: &[BlobId]) -> Result<Vec<bool>, BlobError> {
        self.with_tables(|tables| {
            let failed = |error: fjall::Error| self.failed("read", &error);
            if tables.defects.is_empty().map_err(failed)? {
                return Ok(vec![false; ids.len()]);
            }
            let known = ids.iter().map(|id| tables.defects.contains_key(id.digest()));
            known.map(|known| known.map_err(failed)).collect()
        })
    }

    /// Up to so many pieces that are known as damaged, after an id.
    pub fn defects_after(&self, id: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, BlobError> {
        self.with_tables(|tables| {
            let start = id.map_or(Bound::Unbounded, |id| Bound::Excluded(id.digest().to_vec()));
            let range = tables.defects.range::<Vec<u8>, _>((start, Bound::Unbounded));
            let ids = range.take(limit).map(|guard| {
                let key = guard.key().map_err(|error| self.failed("read", &error))?;
                let digest = key.as_ref().try_into().map_err(|_| corrupt(&self.path))?;
                Ok(BlobId::from_digest(digest))
            });
            ids.collect()
        })
    }

    /// Remembers pieces as damaged, or not any more.
    pub fn set_defective(&self, ids: &[BlobId], is_defective: bool) -> Result<(), BlobError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.change(|tables, _| {
            let mut batch = tables.db.batch();
            for id in ids {
                match is_defective {
                    true => batch.insert(&tables.defects, id.digest(), [1]),
                    false => batch.remove(&tables.defects, id.digest()),
                }
            }
            batch.commit().map_err(|error| self.failed("write", &error))
        })
    }

    /// What was written anew is no longer damaged.
    pub fn heal(&self, ids: &[BlobId]) -> Result<(), BlobError> {
        let defective = self.defective(ids)?;
        let both = ids.iter().zip(defective);
        let healed: Vec<BlobId> = both.filter(|(_, is)| *is).map(|(id, _)| *id).collect();
        self.set_defective(&healed, false)
    }

    /// Forgets all that was remembered as damaged: a check has looked at everything anew.
    pub fn clear_defects(&self) -> Result<(), BlobError> {
        self.change(|tables, _| {
            let done = tables.defects.clear();
            done.map_err(|error| self.failed("write", &error))
        })
    }
}

const GENERATION: &str = "condemned";
const ID: &str = "id";
const SCRUBBED: &str = "scrubbed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Encoding;
    use crate::piece::Kind;

    #[test]
    fn what_was_stored_anew_is_not_forgotten() {
        let index = Index::temporary().unwrap();
        let row = Row {
            id: BlobId::of(b"piece"),
            kind: Kind::Chunk,
            encoding: Encoding::Plain,
            offset: 16,
            sealed_bytes: 33,
            piece_bytes: 5,
            key: 1,
            size_bytes: 5,
        };
        index.add(PackId([1; 16]), 100, 1, &[(0, row)]).unwrap();
        let old = index.find(&[row.id]).unwrap()[0].unwrap();
        index.add(PackId([2; 16]), 100, 1, &[(0, row)]).unwrap();
        index.forget(&[old]).unwrap();
        let new = index.find(&[row.id]).unwrap()[0].unwrap();
        assert_eq!(new.pack, PackId([2; 16]));
        let stale = [Move {
            from: (old.number, old.at),
            row,
        }];
        index.repoint(PackId([3; 16]), 100, &stale).unwrap();
        assert_eq!(index.find(&[row.id]).unwrap(), [Some(new)], "it had moved on");
        index.forget(&[new]).unwrap();
        assert_eq!(index.find(&[row.id]).unwrap(), [None]);
    }
}

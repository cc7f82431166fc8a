//! Packs that cannot be gone through by their tables: gone, cut short, or with a damaged table. The index says what lies
//! in them; each is one finding, however many pieces that are.

use super::{Check, Finding};
use crate::BlobError;
use crate::index::{Location, PackInfo};

/// Such a pack.
pub(super) struct Suspect {
    pack: PackInfo,
    /// Bytes that are there; None if it is gone. All of them: only its table is damaged.
    there: Option<u64>,
    /// What the index finds in it.
    pieces: u64,
    /// Of that, what lies behind its end.
    lost: u64,
}

impl Suspect {
    pub const fn new(pack: PackInfo, there: Option<u64>) -> Self {
        Self {
            pack,
            there,
            pieces: 0,
            lost: 0,
        }
    }

    fn finding(self) -> Finding {
        let (pack, pieces, bytes) = (self.pack.id.object(), self.pieces, self.pack.bytes);
        match self.there {
            None => Finding::PackMissing { pack, pieces },
            Some(there) if there == bytes => Finding::TableDamaged { pack },
            Some(there) => Finding::PackCut {
                pack,
                there,
                bytes,
                pieces,
                lost: self.lost,
            },
        }
    }
}

impl Check<'_> {
    /// Pieces that the index finds in one: those behind its end are lost, the others may be readable.
    pub(super) async fn suspect(&mut self, number: u32, pieces: Vec<Location>) -> Result<(), BlobError> {
        let Some(suspect) = self.suspects.get_mut(&number) else {
            return Ok(());
        };
        let there = suspect.there.unwrap_or(0);
        let (left, lost): (Vec<Location>, Vec<Location>) =
            pieces.into_iter().partition(|piece| piece.row.end() <= there);
        suspect.pieces += (left.len() + lost.len()) as u64;
        suspect.lost += lost.len() as u64;
        if self.quick {
            return Ok(());
        }
        for piece in lost {
            self.damaged.insert(piece.number, piece.at);
            self.bad.insert(piece.number, piece.at);
        }
        self.open(left).await
    }

    /// One of which all is found elsewhere, and nothing is missed, waits to be removed.
    pub(super) fn tell_suspects(&mut self) {
        for suspect in std::mem::take(&mut self.suspects).into_values() {
            match (suspect.pieces, suspect.there) {
                (0, None) => {}
                (0, Some(_)) => self.report.waiting += 1,
                _ => self.find(suspect.finding()),
            }
        }
    }
}

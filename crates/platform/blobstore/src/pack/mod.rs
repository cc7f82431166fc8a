//! Packs: many sealed pieces in one object, with a table of them at its end.
//!
//! Form, version 1, integers little endian:
//!
//! - 16 bytes: `corliss-pack 1\n` and a zero;
//! - the pieces, sealed, one after another;
//! - the table, sealed: for each piece id (32), kind (1), encoding (1), offset (4), sealed length (4), length
//!   (4), key (4), content size (8);
//! - 32 bytes: offset of the table (4), its sealed length (4), its key (4), pieces (4), BLAKE3 of these and
//!   the pack's id, cut to 16.
//!
//! Sealed is AES-256-GCM as in `corliss-keyring`. A piece is sealed for its id, kind, encoding and length,
//! so that no piece passes for another; the table for its pack.

mod seal;

use bytes::Bytes;
use corliss_keyring::{KeyError, SealKey};

use crate::piece::Kind;
use crate::{BlobError, BlobId};

pub(crate) use seal::{SealedBatch, open_piece, seal_pieces};

const MAGIC: &[u8; 16] = b"corliss-pack 1\n\0";
const TABLE_CONTEXT: &[u8] = b"corliss pack table 1";
const ROW_BYTES: usize = 58;
pub(crate) const TRAILER_BYTES: u64 = 32;
/// What a pack aims at: large enough that a sync costs little, small enough to be held in memory.
pub(crate) const PACK_BYTES: usize = 16 << 20;

/// The random name of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackId(pub [u8; 16]);

impl PackId {
    pub fn random() -> Result<Self, BlobError> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(id))
    }

    /// Its object; two digits as a folder, so that none gets too long to list.
    pub fn object(self) -> String {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        format!("packs/{}/{digits}", &digits[..2])
    }

    pub fn of_object(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("packs/")?.get(3..)?;
        let id = Self(u128::from_str_radix(digits, 16).ok()?.to_be_bytes());
        (id.object() == name).then_some(id)
    }
}

/// How a piece's bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Zstd,
}

impl Encoding {
    pub const fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Zstd => 1,
        }
    }

    pub const fn of(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Plain),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// A piece in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub id: BlobId,
    pub kind: Kind,
    pub encoding: Encoding,
    /// From the start of the pack.
    pub offset: u32,
    pub sealed_bytes: u32,
    /// Once opened and decompressed.
    pub piece_bytes: u32,
    /// Number of the data key.
    pub key: u32,
    /// Content that it stands for.
    pub size_bytes: u64,
}

impl Row {
    /// Where its sealed bytes end in the pack.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.sealed_bytes)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.digest());
        out.extend_from_slice(&[self.kind.code(), self.encoding.code()]);
        for number in [self.offset, self.sealed_bytes, self.piece_bytes, self.key] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.size_bytes.to_le_bytes());
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<32>()?;
        let (codes, rest) = rest.split_first_chunk::<2>()?;
        let (numbers, size) = rest.split_first_chunk::<16>()?;
        let number = |at: usize| {
            let four = numbers.get(4 * at..4 * at + 4)?;
            four.try_into().ok().map(u32::from_le_bytes)
        };
        Some(Self {
            id: BlobId::from_digest(*id),
            kind: Kind::of(codes[0]),
            encoding: Encoding::of(codes[1])?,
            offset: number(0)?,
            sealed_bytes: number(1)?,
            piece_bytes: number(2)?,
            key: number(3)?,
            size_bytes: u64::from_le_bytes(size.try_into().ok()?),
        })
    }
}

/// A pack ready to be written.
pub(crate) struct Packed {
    pub id: PackId,
    pub parts: Vec<Bytes>,
    pub rows: Vec<Row>,
    pub bytes: u64,
}

/// Lays sealed batches out as one pack.
pub(crate) fn pack(batches: Vec<SealedBatch>, key: u32, seal: &SealKey) -> Result<Packed, BlobError> {
    let id = PackId::random()?;
    let mut parts = vec![Bytes::from_static(MAGIC)];
    let mut rows = Vec::with_capacity(batches.iter().map(|batch| batch.rows.len()).sum());
    let mut offset = MAGIC.len();
    for batch in batches {
        let base = small(offset)?;
        rows.extend(batch.rows.into_iter().map(|mut row| {
            row.offset += base;
            row
        }));
        offset += batch.bytes.len();
        parts.push(Bytes::from(batch.bytes));
    }
    let mut table = Vec::with_capacity(rows.len() * ROW_BYTES);
    rows.iter().for_each(|row| row.encode(&mut table));
    let mut end = Vec::with_capacity(table.len() + 64);
    seal.seal(&table_context(id), &table, &mut end)?;
    let table_bytes = end.len();
    for number in [small(offset)?, small(table_bytes)?, key, small(rows.len())?] {
        end.extend_from_slice(&number.to_le_bytes());
    }
    let check = trailer_check(id, &end[table_bytes..]);
    end.extend_from_slice(&check);
    let bytes = (offset + end.len()) as u64;
    parts.push(Bytes::from(end));
    Ok(Packed {
        id,
        parts,
        rows,
        bytes,
    })
}

/// Where a pack's table is, from its last [`TRAILER_BYTES`].
pub(crate) struct Trailer {
    pub table: std::ops::Range<u64>,
    pub key: u32,
    pieces: usize,
}

impl Trailer {
    /// None if the bytes are not the end of this pack.
    pub fn decode(id: PackId, bytes: &[u8]) -> Option<Self> {
        let (numbers, check) = bytes.split_first_chunk::<16>()?;
        if trailer_check(id, numbers) != *check {
            return None;
        }
        let number = |at: usize| {
            let four = numbers.get(4 * at..4 * at + 4)?;
            four.try_into().ok().map(u32::from_le_bytes)
        };
        let (start, len) = (u64::from(number(0)?), u64::from(number(1)?));
        Some(Self {
            table: start..start + len,
            key: number(2)?,
            pieces: usize::try_from(number(3)?).ok()?,
        })
    }

    /// The table's rows; None if it was changed.
    pub fn rows(&self, id: PackId, seal: &SealKey, sealed: &[u8]) -> Option<Vec<Row>> {
        let mut sealed = sealed.to_vec();
        let table = seal.open(&table_context(id), &mut sealed)?;
        let rows: Vec<Row> = table.chunks(ROW_BYTES).map(Row::decode).collect::<Option<_>>()?;
        (rows.len() == self.pieces).then_some(rows)
    }
}

fn table_context(id: PackId) -> Vec<u8> {
    [TABLE_CONTEXT, &id.0[..]].concat()
}

fn trailer_check(id: PackId, numbers: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&id.0).update(numbers);
    let mut check = [0; 16];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// Packs are far below 4 GiB; a batch that is not is a mistake of ours, told and not cut.
fn small(number: usize) -> Result<u32, BlobError> {
    u32::try_from(number).map_err(|_| BlobError::BadPiece {
        problem: "a pack would be larger than 4 GiB".to_owned(),
    })
}

#[cfg(test)]
mod tests;

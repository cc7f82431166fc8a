//! Pieces to sealed bytes and back: compressed where it pays, encrypted, and checked on the way out.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use corliss_keyring::SealKey;

use super::{Encoding, Row, small};
use crate::piece::{Kind, Piece, node, record};
use crate::{BlobError, BlobId};

const PIECE_CONTEXT: &[u8] = b"corliss piece 1";
/// zstd's fastest level that still halves text: 360 MB/s a core, where level 3 does 260 for the same size.
const LEVEL: i32 = 1;
/// Bytes of the sample by which a piece is judged, from its middle.
const SAMPLE_BYTES: usize = 4 << 10;
/// Pieces of less are kept as they are.
const WORTH_COMPRESSING: usize = 128;

/// Sealed pieces, and where each lies in the bytes.
#[derive(Debug, Default)]
pub(crate) struct SealedBatch {
    pub rows: Vec<Row>,
    pub bytes: Vec<u8>,
}

/// Compresses and seals pieces, in order.
pub(crate) fn seal_pieces(pieces: &[Piece], key: u32, seal: &SealKey) -> Result<SealedBatch, BlobError> {
    let room: usize = pieces
        .iter()
        .map(|piece| piece.bytes.len() + SealKey::OVERHEAD_BYTES)
        .sum();
    let mut batch = SealedBatch {
        rows: Vec::with_capacity(pieces.len()),
        bytes: Vec::with_capacity(room),
    };
    let mut compressed = Vec::new();
    for piece in pieces {
        let encoding = compress(&piece.bytes, &mut compressed);
        let kept: &[u8] = match encoding {
            Encoding::Plain => &piece.bytes,
            Encoding::Zstd => &compressed,
        };
        let offset = small(batch.bytes.len())?;
        let mut row = Row {
            id: piece.id,
            kind: piece.kind,
            encoding,
            offset,
            sealed_bytes: 0,
            piece_bytes: small(piece.bytes.len())?,
            key,
            size_bytes: piece.size_bytes,
        };
        seal.seal(&context(&row), kept, &mut batch.bytes)?;
        row.sealed_bytes = small(batch.bytes.len())? - offset;
        batch.rows.push(row);
    }
    Ok(batch)
}

/// The piece's own bytes, opened where they are; an error names it as damaged if they are not what was stored.
pub(crate) fn open_piece(row: &Row, seal: &SealKey, mut sealed: BytesMut) -> Result<Bytes, BlobError> {
    let damaged = || BlobError::Damaged { id: row.id };
    let kept = seal.open(&context(row), &mut sealed).ok_or_else(damaged)?;
    let len = usize::try_from(row.piece_bytes).map_err(|_| damaged())?;
    let bytes = match row.encoding {
        Encoding::Plain => {
            let kept = SealKey::NONCE_BYTES..SealKey::NONCE_BYTES + kept.len();
            sealed.freeze().slice(kept)
        }
        Encoding::Zstd => zstd::bulk::decompress(kept, len).map_err(|_| damaged())?.into(),
    };
    let id = match row.kind {
        Kind::Chunk => BlobId::of(&bytes),
        Kind::Node(_) => node::id(&bytes),
        Kind::Record => record::id(&bytes),
    };
    if id != row.id || bytes.len() != len {
        return Err(damaged());
    }
    Ok(bytes)
}

fn context(row: &Row) -> Vec<u8> {
    let mut context = Vec::with_capacity(PIECE_CONTEXT.len() + 38);
    context.extend_from_slice(PIECE_CONTEXT);
    context.extend_from_slice(&row.id.digest());
    context.extend_from_slice(&[row.kind.code(), row.encoding.code()]);
    context.extend_from_slice(&row.piece_bytes.to_le_bytes());
    context
}

/// Compresses into `out` if a sample, and then the whole, saves at least a sixteenth.
fn compress(bytes: &[u8], out: &mut Vec<u8>) -> Encoding {
    thread_local! {
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
            RefCell::new(zstd::bulk::Compressor::new(LEVEL).ok());
    }
    let mut saves = |bytes: &[u8]| {
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        COMPRESSOR.with_borrow_mut(|compressor| {
            let written = compressor.as_mut()?.compress_to_buffer(bytes, out).ok()?;
            (written <= bytes.len() - bytes.len() / 16).then_some(())
        })
    };
    if bytes.len() < WORTH_COMPRESSING {
        return Encoding::Plain;
    }
    if bytes.len() > 4 * SAMPLE_BYTES {
        let middle = bytes.len() / 2 - SAMPLE_BYTES / 2;
        if saves(&bytes[middle..middle + SAMPLE_BYTES]).is_none() {
            return Encoding::Plain;
        }
    }
    match saves(bytes) {
        Some(()) => Encoding::Zstd,
        None => Encoding::Plain,
    }
}

//! Pieces on the wire: what a client sends that the server lacks, and what it fetches.
//!
//! A body is a sequence of records: one byte of kind (0 is a chunk, else the level of a node), four bytes of
//! length, little endian, and the piece. No ids: whoever receives computes them, and believes nothing else.

use bytes::{Buf, Bytes};
use corliss_blobstore::{Kind, Piece};

use crate::DataError;

/// What senders aim at; a body may be one piece larger.
pub const BODY_BYTES: usize = 8 << 20;
/// The largest body that is taken.
pub(crate) const BODY_MAX_BYTES: u64 = 12 << 20;
const HEAD_BYTES: usize = 5;

/// Appends a piece to a body.
pub fn append(kind: Kind, bytes: &[u8], body: &mut Vec<u8>) {
    body.extend_from_slice(&head(kind, bytes));
    body.extend_from_slice(bytes);
}

/// What goes before the bytes of a piece.
pub(crate) fn head(kind: Kind, bytes: &[u8]) -> [u8; HEAD_BYTES] {
    // A piece is at most 256 KiB.
    let [a, b, c, d] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    [kind.code(), a, b, c, d]
}

/// The pieces of a body, each with the id that its bytes have.
///
/// # Errors
/// The body is cut short, or something in it cannot be a piece.
pub fn parse(mut body: Bytes) -> Result<Vec<Piece>, DataError> {
    let mut pieces = Vec::new();
    while !body.is_empty() {
        let short = || DataError::TransferCutShort;
        let head = body.first_chunk::<HEAD_BYTES>().ok_or_else(short)?;
        let [code, len @ ..] = *head;
        let len = usize::try_from(u32::from_le_bytes(len)).map_err(|_| short())?;
        if body.len() - HEAD_BYTES < len {
            return Err(short());
        }
        body.advance(HEAD_BYTES);
        pieces.push(Piece::received(Kind::of(code), body.split_to(len))?);
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_read_back_and_nonsense_is_refused() {
        let mut body = Vec::new();
        append(Kind::Chunk, b"one", &mut body);
        append(Kind::Chunk, b"", &mut body);
        let pieces = parse(body.clone().into()).unwrap();
        assert_eq!(pieces, [Piece::chunk(b"one".to_vec()), Piece::chunk(Vec::new())]);
        assert!(parse(Bytes::new()).unwrap().is_empty());
        for cut in 1..body.len() {
            if cut != 8 {
                assert_eq!(
                    parse(Bytes::copy_from_slice(&body[..cut])),
                    Err(DataError::TransferCutShort),
                    "{cut}"
                );
            }
        }
        for (bad, why) in [
            (vec![0, 255, 255, 255, 255], "a length without bytes"),
            (vec![1, 1, 0, 0, 0, 7], "no node"),
            (vec![9, 0, 0, 0, 0], "a level that does not exist"),
        ] {
            assert!(parse(bad.into()).is_err(), "{why}");
        }
    }
}

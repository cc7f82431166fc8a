//! Records: small pieces that list others and say something about them that only their owner reads, such as a
//! part of a folder's tree.
//!
//! Form: `corliss-record 1\n`, the number of links (4 bytes, little endian), 32 bytes of id for each, then the
//! body. The store knows the links, so that a record, like a node, is stored after all that it lists: whoever
//! knows a record has everything below it.

use bytes::Bytes;

use super::{CHUNK_MAX, Kind, Piece};
use crate::BlobId;

const MAGIC: &[u8] = b"corliss-record 1\n";
const HEAD_BYTES: usize = MAGIC.len() + 4;
const ID_BYTES: usize = 32;
/// Keeps digests of records apart from digests of content and nodes.
const DIGEST_CONTEXT: &str = "corliss blobstore 2026-11 record v1";

/// A list of pieces of any kind with a body of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it lists; the same piece may be listed twice.
    pub links: Vec<BlobId>,
    /// What its owner says.
    pub body: Bytes,
}

impl Record {
    /// The most bytes of a body beside so many links.
    #[must_use]
    pub const fn body_max(links: usize) -> usize {
        CHUNK_MAX.saturating_sub(HEAD_BYTES + links.saturating_mul(ID_BYTES))
    }

    /// Reads a record; None if the bytes are not one.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (count, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let links_bytes = usize::try_from(u32::from_le_bytes(*count))
            .ok()?
            .checked_mul(ID_BYTES)?;
        let links = rest.get(..links_bytes)?.chunks_exact(ID_BYTES);
        let links: Option<Vec<BlobId>> = links
            .map(|id| Some(BlobId::from_digest(id.try_into().ok()?)))
            .collect();
        Some(Self {
            links: links?,
            body: bytes.slice(HEAD_BYTES + links_bytes..),
        })
    }

    /// The record as it is stored.
    #[must_use]
    pub fn to_piece(&self) -> Piece {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.links.len() * ID_BYTES + self.body.len());
        bytes.extend_from_slice(MAGIC);
        // A piece of more than 256 KiB is refused, long before this cuts.
        let count = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        for link in &self.links {
            bytes.extend_from_slice(&link.digest());
        }
        bytes.extend_from_slice(&self.body);
        Piece {
            id: id(&bytes),
            kind: Kind::Record,
            size_bytes: bytes.len() as u64,
            bytes: bytes.into(),
        }
    }
}

/// The id of a record's bytes.
pub(crate) fn id(bytes: &[u8]) -> BlobId {
    let mut hasher = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
    hasher.update(bytes);
    BlobId::from_digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: another form would give every stored tree a second name.
    #[test]
    fn the_form_is_what_it_was() {
        let record = Record {
            links: vec![BlobId::of(b"a")],
            body: Bytes::from_static(b"what it says"),
        };
        let piece = record.to_piece();
        let mut expected = b"corliss-record 1\n\x01\x00\x00\x00".to_vec();
        expected.extend_from_slice(&BlobId::of(b"a").digest());
        expected.extend_from_slice(b"what it says");
        assert_eq!(&piece.bytes[..], &expected[..]);
        assert_eq!(
            piece.id.to_string(),
            "2b4e137d0bb06bc245e22f23ad608b9c6e249f6aa302211c7ff5fb6783c2bbd7"
        );
        assert_eq!(Record::decode(&piece.bytes), Some(record));
        assert_eq!(
            Record::body_max(1) + expected.len() - b"what it says".len(),
            CHUNK_MAX
        );
    }

    #[test]
    fn what_is_not_a_record_is_none() {
        let empty = Record {
            links: Vec::new(),
            body: Bytes::new(),
        };
        assert_eq!(Record::decode(&empty.to_piece().bytes), Some(empty));
        for (bad, why) in [
            (b"".to_vec(), "empty"),
            (b"corliss-record 1\n\x01\x00".to_vec(), "cut short"),
            (
                b"corliss-record 1\n\xff\xff\xff\xff".to_vec(),
                "links that are not there",
            ),
            (b"corliss-record 2\n\x00\x00\x00\x00".to_vec(), "another form"),
        ] {
            assert_eq!(Record::decode(&bad.into()), None, "{why}");
        }
    }
}

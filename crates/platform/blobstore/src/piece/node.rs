//! Lists of pieces: how a large blob is held together.
//!
//! Form: `corliss-node 1\n`, one byte of level, then for each child 32 bytes of id and 8 of size, little
//! endian. No count: the length says it.

use super::{Kind, Piece};
use crate::BlobId;

const MAGIC: &[u8] = b"corliss-node 1\n";
const CHILD_BYTES: usize = 32 + 8;
/// Keeps digests of nodes apart from digests of content.
const DIGEST_CONTEXT: &str = "corliss blobstore 2026-11 node v1";
/// Children of a full node: 82 KB, about 160 MB of content above chunks.
pub(super) const FANOUT: usize = 2048;
/// Enough for 700 PB; bounds the depth of every walk.
pub(super) const LEVEL_MAX: u8 = 4;

/// A piece that a node lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The piece.
    pub id: BlobId,
    /// Bytes of content that it stands for.
    pub size_bytes: u64,
}

/// A list of pieces whose content follows each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    level: u8,
    children: Vec<Child>,
}

impl Node {
    /// A node of a level from 1 on.
    pub(super) const fn new(level: u8, children: Vec<Child>) -> Self {
        Self { level, children }
    }

    /// 1 lists chunks, a higher one nodes of the level below.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// In order of their content.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// What the children must be.
    #[must_use]
    pub const fn child_kind(&self) -> Kind {
        Kind::of(self.level - 1)
    }

    /// Reads a node; None if the bytes are not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (level, children) = bytes.strip_prefix(MAGIC)?.split_first()?;
        let listed = children.chunks_exact(CHILD_BYTES);
        let in_range = (1..=LEVEL_MAX).contains(level) && (1..=FANOUT).contains(&listed.len());
        if !in_range || !listed.remainder().is_empty() {
            return None;
        }
        let mut total = 0_u64;
        let mut read = Vec::with_capacity(listed.len());
        for child in listed {
            let (id, size) = child.split_first_chunk::<32>()?;
            let size_bytes = u64::from_le_bytes(size.try_into().ok()?);
            // What stands for nothing could be listed without end.
            total = total.checked_add(size_bytes).filter(|_| size_bytes > 0)?;
            read.push(Child {
                id: BlobId::from_digest(*id),
                size_bytes,
            });
        }
        Some(Self::new(*level, read))
    }

    /// The node as it is stored.
    #[must_use]
    pub fn into_piece(self) -> Piece {
        let mut bytes = Vec::with_capacity(MAGIC.len() + 1 + self.children.len() * CHILD_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.push(self.level);
        for child in &self.children {
            bytes.extend_from_slice(&child.id.digest());
            bytes.extend_from_slice(&child.size_bytes.to_le_bytes());
        }
        Piece {
            id: id(&bytes),
            kind: Kind::Node(self.level),
            size_bytes: self.children.iter().map(|child| child.size_bytes).sum(),
            bytes: bytes.into(),
        }
    }
}

/// The id of a node's bytes.
pub(crate) fn id(bytes: &[u8]) -> BlobId {
    let mut hasher = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
    hasher.update(bytes);
    BlobId::from_digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: another form would give every large blob a second name.
    #[test]
    fn the_form_is_what_it_was() {
        let child = Child {
            id: BlobId::of(b"a"),
            size_bytes: 258,
        };
        let node = Node::new(1, vec![child]);
        let piece = node.clone().into_piece();
        let mut expected = b"corliss-node 1\n\x01".to_vec();
        expected.extend_from_slice(&BlobId::of(b"a").digest());
        expected.extend_from_slice(&[2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!((&piece.bytes[..], piece.size_bytes), (&expected[..], 258));
        assert_ne!(piece.id, BlobId::of(&expected), "content cannot pass for a node");
        assert_eq!(
            piece.id.to_string(),
            "107d07cf8c2b527e180490090aeca768471bcfc7fdad952123a842690b55029f"
        );
        assert_eq!(Node::decode(&expected), Some(node));
    }

    #[test]
    fn what_is_not_a_node_is_none() {
        let good = Node::new(
            2,
            vec![Child {
                id: BlobId::of(b""),
                size_bytes: u64::MAX,
            }],
        )
        .into_piece()
        .bytes;
        assert!(Node::decode(&good).is_some());
        let with = |at: usize, byte: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            bytes
        };
        let mut twice = good.to_vec();
        twice.extend_from_slice(&good[16..]);
        for (bad, why) in [
            (Vec::new(), "empty"),
            (good[..good.len() - 1].to_vec(), "cut short"),
            (good[..16].to_vec(), "no children"),
            (with(0, b'C'), "another magic"),
            (with(15, 0), "level 0"),
            (with(15, 5), "a level too high"),
            (twice, "sizes that overflow"),
            ([&good[..48], &[0; 8]].concat(), "a child of no bytes"),
        ] {
            assert_eq!(Node::decode(&bad), None, "{why}");
        }
    }
}

//! What a node or record lists must be stored before it: the one rule by which a piece that is known is whole.

use std::collections::HashMap;

use bytes::Bytes;

use super::BlobStore;
use crate::piece::{Kind, Node, Piece, Record};
use crate::{BlobError, BlobId};

/// A piece that must be there; of a child of a node also as what.
struct Link {
    of: BlobId,
    to: BlobId,
    shape: Option<(Kind, u64)>,
}

/// Checks every link of the pieces against what is stored and what comes before them.
pub(super) async fn check(store: &BlobStore, pieces: &[Piece]) -> Result<(), BlobError> {
    let mut before: HashMap<BlobId, (Kind, u64)> = HashMap::new();
    let mut open: Vec<Link> = Vec::new();
    for piece in pieces {
        for link in links(piece)? {
            if !before.get(&link.to).is_some_and(|shape| link.fits(*shape)) {
                open.push(link);
            }
        }
        before.insert(piece.id, (piece.kind, piece.size_bytes));
    }
    let stored = store
        .answer_healer(open.iter().map(|link| link.to).collect())
        .await?;
    for (link, location) in open.into_iter().zip(stored) {
        let shape = location.map(|location| (location.row.kind, location.row.size_bytes));
        if !shape.is_some_and(|shape| link.fits(shape)) {
            let (id, child) = (link.of, link.to);
            return Err(BlobError::Incomplete { id, child });
        }
    }
    Ok(())
}

impl Link {
    fn fits(&self, shape: (Kind, u64)) -> bool {
        self.shape.is_none_or(|expected| expected == shape)
    }
}

/// What a stored piece lists; its bytes are verified.
pub(super) fn listed(kind: Kind, bytes: &Bytes) -> Vec<BlobId> {
    match kind {
        Kind::Chunk => Vec::new(),
        Kind::Node(_) => Node::decode(bytes).map_or_else(Vec::new, |node| {
            node.children().iter().map(|child| child.id).collect()
        }),
        Kind::Record => Record::decode(bytes).map_or_else(Vec::new, |record| record.links),
    }
}

fn links(piece: &Piece) -> Result<Vec<Link>, BlobError> {
    let malformed = || BlobError::BadPiece {
        problem: format!("{} cannot be read", piece.id),
    };
    let of = piece.id;
    Ok(match piece.kind {
        Kind::Chunk => Vec::new(),
        Kind::Node(_) => {
            let node = Node::decode(&piece.bytes).ok_or_else(malformed)?;
            let link = |child: &crate::Child| Link {
                of,
                to: child.id,
                shape: Some((node.child_kind(), child.size_bytes)),
            };
            node.children().iter().map(link).collect()
        }
        Kind::Record => {
            let record = Record::decode(&piece.bytes).ok_or_else(malformed)?;
            let link = |to: BlobId| Link { of, to, shape: None };
            record.links.into_iter().map(link).collect()
        }
    })
}

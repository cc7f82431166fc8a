//! Pieces: what blobs are cut into, and what is stored.
//!
//! A blob of at most [`CHUNK_MAX`] bytes is one chunk, and its id is the BLAKE3 digest of its bytes. A larger
//! one is cut where its content says (FastCDC, Xia et al. 2020), so that an insertion changes the chunks
//! around it only; nodes list the chunks, and nodes of a higher level list nodes. Its id is that of the node
//! at the top, a BLAKE3 digest in a mode of its own, so that no content can pass for a node. Beside blobs there
//! are records, which list pieces of any kind and carry what their owner says of them.
//!
//! Ids depend on the cut: how blobs are cut is frozen with the format.

mod cutter;
pub(crate) mod node;
pub(crate) mod record;

pub use cutter::{Cutter, id_of_reader};
pub use node::{Child, Node};
pub use record::Record;

use bytes::Bytes;

use crate::{BlobError, BlobId};

/// The most bytes of a piece.
pub const CHUNK_MAX: usize = 256 << 10;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Content.
    Chunk,
    /// A list of chunks (level 1), or of nodes of the level below.
    Node(u8),
    /// A list of pieces of any kind, with a body of its own.
    Record,
}

/// The code of records; levels of nodes are far below.
const RECORD_CODE: u8 = 255;

impl Kind {
    /// One byte: 0 is a chunk, 255 a record, else the node's level.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Chunk => 0,
            Self::Node(level) => level,
            Self::Record => RECORD_CODE,
        }
    }

    /// The kind of a code.
    #[must_use]
    pub const fn of(code: u8) -> Self {
        match code {
            0 => Self::Chunk,
            RECORD_CODE => Self::Record,
            level => Self::Node(level),
        }
    }
}

/// A piece with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its name.
    pub id: BlobId,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content that it stands for: its own, or, of a node, those of all chunks below.
    pub size_bytes: u64,
    /// The bytes of the piece itself.
    pub bytes: Bytes,
}

impl Piece {
    /// Content.
    #[must_use]
    pub fn chunk(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            id: BlobId::of(&bytes),
            kind: Kind::Chunk,
            size_bytes: bytes.len() as u64,
            bytes,
        }
    }

    /// A piece from the bytes that somebody sent: its id and size are computed, not believed.
    ///
    /// # Errors
    /// It is larger than a piece may be, or not what it is said to be.
    pub fn received(kind: Kind, bytes: Bytes) -> Result<Self, BlobError> {
        if bytes.len() > CHUNK_MAX {
            return Err(BlobError::BadPiece {
                problem: "it is larger than 262144 bytes".to_owned(),
            });
        }
        match kind {
            Kind::Chunk => Ok(Self::chunk(bytes)),
            Kind::Node(level) => match Node::decode(&bytes) {
                Some(node) if node.level() == level => Ok(node.into_piece()),
                _ => Err(BlobError::BadPiece {
                    problem: format!("it is not a node of level {level}"),
                }),
            },
            Kind::Record => match Record::decode(&bytes) {
                Some(_) => Ok(Self {
                    id: record::id(&bytes),
                    kind,
                    size_bytes: bytes.len() as u64,
                    bytes,
                }),
                None => Err(BlobError::BadPiece {
                    problem: "it is not a record".to_owned(),
                }),
            },
        }
    }
}

//! Records of trees from the blob store and into it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use corliss_blobstore::{BlobError, BlobId, BlobStore, Piece};

use super::{Cursor, Entry, Node};
use crate::{DataError, EntryPath};

/// Records kept: those near the root are read again and again, and a page of a folder touches a few leaves.
const KEPT: usize = 256;
/// Bytes of records that are written together.
const WRITE_BYTES: usize = 4 << 20;

/// Kept records, with when each was last asked for.
#[derive(Debug, Default)]
struct Kept {
    nodes: HashMap<BlobId, (Arc<Node>, u64)>,
    asked: u64,
}

/// Reads trees; cheap to clone.
#[derive(Clone)]
pub(crate) struct Reader {
    blobs: BlobStore,
    kept: Arc<Mutex<Kept>>,
}

impl Reader {
    pub fn new(blobs: BlobStore) -> Self {
        Self {
            blobs,
            kept: Arc::default(),
        }
    }

    /// One record.
    pub async fn node(&self, id: BlobId) -> Result<Arc<Node>, DataError> {
        let damaged = |message: &str| DataError::TreeDamaged {
            record: id,
            message: message.to_owned(),
        };
        self.read(id, || damaged("it is gone"), damaged).await
    }

    /// One record that somebody sent: that it is none of a tree is their mistake, and no damage.
    pub async fn sent(&self, id: BlobId) -> Result<Arc<Node>, DataError> {
        let other = || DataError::bad_tree(id, "it is not a record of a tree");
        self.read(id, other, |problem| DataError::bad_tree(id, problem))
            .await
    }

    async fn read(
        &self,
        id: BlobId,
        absent: impl Fn() -> DataError,
        malformed: impl Fn(&'static str) -> DataError,
    ) -> Result<Arc<Node>, DataError> {
        if let Err(destroyed) = self.blobs.keyring().check() {
            // What was opened before goes with the keys.
            self.forget();
            return Err(BlobError::from(destroyed).into());
        }
        if let Some(node) = self.kept(id) {
            return Ok(node);
        }
        let read = self.blobs.read_records(vec![id]).await;
        let record = read.map_err(|error| match error {
            BlobError::NotFound { .. } => absent(),
            BlobError::Damaged { .. } => DataError::TreeDamaged {
                record: id,
                message: "its bytes were changed".to_owned(),
            },
            error => error.into(),
        })?;
        let record = record.first().ok_or_else(&absent)?;
        let node = Arc::new(Node::decode(record).map_err(malformed)?);
        self.keep(id, &node);
        Ok(node)
    }

    /// Where walking a tree begins.
    pub async fn cursor(&self, root: BlobId) -> Result<Cursor, DataError> {
        Cursor::new(self.clone(), root).await
    }

    /// The file of this path.
    pub async fn find(&self, root: BlobId, path: &EntryPath) -> Result<Option<Entry>, DataError> {
        let mut cursor = self.cursor(root).await?;
        cursor.seek(path.as_str()).await?;
        let found = cursor.next_entry().await?;
        Ok(found.filter(|entry| entry.path == *path))
    }

    fn kept(&self, id: BlobId) -> Option<Arc<Node>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let now = kept.asked;
        let (node, asked) = kept.nodes.get_mut(&id)?;
        *asked = now;
        Some(Arc::clone(node))
    }

    /// Drops all records that are kept.
    pub fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Kept::default();
    }

    fn keep(&self, id: BlobId, node: &Arc<Node>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = kept.asked;
        if kept.nodes.len() >= KEPT {
            let oldest = kept.nodes.iter().min_by_key(|(_, (_, asked))| *asked);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                kept.nodes.remove(&oldest);
            }
        }
        kept.nodes.insert(id, (Arc::clone(node), now));
    }
}

/// Writes records as they become ready, many at a time.
pub(crate) struct RecordWriter {
    blobs: BlobStore,
    waiting: Vec<Piece>,
    bytes: usize,
}

impl RecordWriter {
    pub const fn new(blobs: BlobStore) -> Self {
        Self {
            blobs,
            waiting: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes records, each after what it lists.
    pub async fn add(&mut self, pieces: Vec<Piece>) -> Result<(), DataError> {
        self.bytes += pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>();
        self.waiting.extend(pieces);
        if self.bytes >= WRITE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// All that was taken is durable when this returns.
    pub async fn flush(&mut self) -> Result<(), DataError> {
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.blobs.put_pieces(waiting).await?;
        }
        Ok(())
    }
}

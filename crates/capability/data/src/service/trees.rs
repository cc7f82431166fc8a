//! Trees of versions, read from their blobs and kept for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use corliss_blobstore::{BlobError, BlobId};
use corliss_types::VersionId;

use super::DataService;
use crate::{DataError, Tree};

/// Trees kept; a page of the console and a step's inputs touch a handful.
const TREES_KEPT: usize = 8;
/// Larger trees are read each time, so that a few huge ones do not fill the memory.
const ENTRIES_KEPT: usize = 20_000;
/// The largest canonical tree: `Limits::files` entries with the longest paths stay below it.
const TREE_MAX_BYTES: u64 = 512 << 20;

#[derive(Debug, Default)]
pub(super) struct TreeCache {
    kept: Mutex<VecDeque<(VersionId, Arc<Tree>)>>,
}

impl TreeCache {
    fn get(&self, version: &VersionId) -> Option<Arc<Tree>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(id, _)| id == version)
            .map(|(_, tree)| Arc::clone(tree))
    }

    fn keep(&self, version: &VersionId, tree: &Arc<Tree>) {
        if tree.entries().len() > ENTRIES_KEPT {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((version.clone(), Arc::clone(tree)));
        kept.truncate(TREES_KEPT);
    }
}

impl DataService {
    /// The files of a version.
    ///
    /// # Errors
    /// There is no such version, or its tree is damaged.
    pub async fn tree(&self, version: &VersionId) -> Result<Arc<Tree>, DataError> {
        if let Some(tree) = self.trees.get(version) {
            return Ok(tree);
        }
        // Known to the metadata first: any blob could look like a tree.
        self.version(version).await?;
        let damaged = |message: String| DataError::Damaged {
            version: version.clone(),
            message,
        };
        let id: BlobId = version
            .as_str()
            .strip_prefix("v_")
            .and_then(|digest| digest.parse().ok())
            .ok_or_else(|| damaged("its id is not a digest".to_owned()))?;
        let bytes = self
            .blobs
            .read_all(id, TREE_MAX_BYTES)
            .await
            .map_err(|error| match error {
                BlobError::NotFound { .. } => damaged("its tree is gone".to_owned()),
                error => error.into(),
            })?;
        let tree = Tree::parse(&bytes).map_err(damaged)?;
        if tree.version() != *version {
            return Err(damaged("its tree has another digest".to_owned()));
        }
        let tree = Arc::new(tree);
        self.trees.keep(version, &tree);
        Ok(tree)
    }
}

//! Recording a version whose bytes are stored, and pointing a dataset's name at it.

use corliss_types::DatasetName;

use super::DataService;
use crate::config::MESSAGE_MAX_BYTES;
use crate::store::{datasets, versions};
use crate::{Committed, DataError, Tree};

impl DataService {
    /// Records the tree as a version, and points the dataset's name at it if one is given. The same again
    /// changes nothing.
    ///
    /// # Errors
    /// A blob is missing or has another size than its entry says; a limit; or a store failed.
    pub async fn commit(
        &self,
        dataset: Option<DatasetName>,
        tree: Tree,
        message: &str,
    ) -> Result<Committed, DataError> {
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(DataError::MessageTooLong {
                limit: MESSAGE_MAX_BYTES,
            });
        }
        if tree.entries().len() > self.limits.files {
            return Err(DataError::TooManyFiles {
                limit: self.limits.files,
            });
        }
        self.check_blobs(&tree).await?;
        // The tree is durable before the row that names it: a row never points at nothing.
        let canonical = tree.canonical();
        self.blobs.put(&mut canonical.as_slice(), None).await?;
        self.record(dataset, &tree, message.to_owned()).await
    }

    async fn check_blobs(&self, tree: &Tree) -> Result<(), DataError> {
        let ids = tree.entries().iter().map(|entry| entry.blob).collect();
        let found = self.blobs.stat_all(ids).await?;
        for (entry, blob) in tree.entries().iter().zip(found) {
            let path = || entry.path.to_string();
            let Some(blob) = blob else {
                return Err(DataError::BlobMissing {
                    path: path(),
                    blob: entry.blob,
                });
            };
            if blob.size_bytes != entry.size_bytes {
                let (announced, stored) = (entry.size_bytes, blob.size_bytes);
                return Err(DataError::SizeMismatch {
                    path: path(),
                    announced,
                    stored,
                });
            }
        }
        Ok(())
    }

    async fn record(
        &self,
        dataset: Option<DatasetName>,
        tree: &Tree,
        message: String,
    ) -> Result<Committed, DataError> {
        let now = self.sources.clock.now();
        let version = tree.version();
        let (files, size_bytes) = (tree.entries().len() as u64, tree.size_bytes());
        self.store
            .write(move |tx| {
                let new = versions::insert(tx, &version, now, files, size_bytes)?;
                let created = match &dataset {
                    Some(name) => datasets::point(tx, name, &version, &message, now)?,
                    None => new,
                };
                let (version, dataset) = (version.clone(), dataset.clone());
                Ok(Committed {
                    version,
                    dataset,
                    created,
                    files,
                    size_bytes,
                })
            })
            .await
    }
}

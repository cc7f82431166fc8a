//! Looking at datasets, versions and their files.

use corliss_blobstore::BlobReader;
use corliss_types::{DatasetName, VersionId};

use super::DataService;
use crate::store::{datasets, versions};
use crate::types::{DatasetDetail, DatasetSummary, VersionSummary};
use crate::{DataError, Entry};

/// Moves of a name that are shown.
const HISTORY_LEN: u32 = 1000;

impl DataService {
    /// A page of datasets by name, from after `after` on.
    ///
    /// # Errors
    /// The metadata store failed.
    pub async fn datasets(&self, after: &str, limit: u32) -> Result<Vec<DatasetSummary>, DataError> {
        let after = after.to_owned();
        self.store
            .read(move |tx| Ok(datasets::list(tx, &after, limit)?))
            .await
    }

    /// A dataset with its history.
    ///
    /// # Errors
    /// There is no such dataset, or the metadata store failed.
    pub async fn dataset(&self, name: &DatasetName) -> Result<DatasetDetail, DataError> {
        let name = name.clone();
        self.store
            .read(move |tx| {
                let summary = datasets::get(tx, &name)?
                    .ok_or_else(|| DataError::DatasetNotFound { name: name.clone() })?;
                Ok(DatasetDetail {
                    history: datasets::history(tx, &name, HISTORY_LEN)?,
                    summary,
                })
            })
            .await
    }

    /// A version without its files.
    ///
    /// # Errors
    /// There is no such version, or the metadata store failed.
    pub async fn version(&self, version: &VersionId) -> Result<VersionSummary, DataError> {
        let version = version.clone();
        self.store
            .read(move |tx| {
                versions::get(tx, &version)?.ok_or_else(|| DataError::VersionNotFound {
                    version: version.to_string(),
                })
            })
            .await
    }

    /// Opens a file of a version.
    ///
    /// # Errors
    /// There is no such version or file, or a store failed.
    pub async fn open_file(&self, version: &VersionId, path: &str) -> Result<(Entry, BlobReader), DataError> {
        let tree = self.tree(version).await?;
        let entry = tree.find(path).ok_or_else(|| DataError::FileNotFound {
            version: version.clone(),
            path: crate::error::shortened(path),
        })?;
        Ok((entry.clone(), self.blobs.open(entry.blob, None).await?))
    }
}

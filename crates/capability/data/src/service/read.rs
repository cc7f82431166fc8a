//! Looking at datasets, versions and their files.

use std::ops::Range;
use std::path::Path;
use std::slice;

use bytes::Bytes;
use corliss_blobstore::BlobReader;
use corliss_types::{DatasetName, VersionId};
use tokio::io::AsyncReadExt;

use super::merge::root;
use super::{DataService, log};
use crate::history::RefKind;
use crate::store::{datasets, refs, versions};
use crate::types::{DatasetDetail, DatasetSummary, VersionSummary};
use crate::{DataError, Entry, EntryPath};

/// Commits of a history, branches and tags that the page of a dataset shows.
const SHOWN: u32 = 1000;

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
                    branches: refs::list(tx, &name, RefKind::Branch, "", SHOWN)?,
                    tags: refs::list(tx, &name, RefKind::Tag, "", SHOWN)?,
                    history: log::log(tx, slice::from_ref(&summary.head), 0, SHOWN as usize)?,
                    summary,
                })
            })
            .await
    }

    /// Says for how many days the files of older commits are kept; none is forever. Heads of branches and tags, and
    /// what runs and models refer to, are kept however old they are.
    ///
    /// # Errors
    /// There is no such dataset, or the metadata store failed.
    pub async fn set_retention(
        &self,
        name: &DatasetName,
        days: Option<u64>,
    ) -> Result<DatasetSummary, DataError> {
        let name = name.clone();
        self.store
            .write(move |tx| {
                datasets::set_retention(tx, &name, days)?;
                datasets::get(tx, &name)?.ok_or_else(|| DataError::DatasetNotFound { name: name.clone() })
            })
            .await
    }

    /// Removes a dataset, its branches, tags and history. Its versions stay until they are collected, and as long
    /// as something else refers to them.
    ///
    /// # Errors
    /// There is no such dataset, a branch of it is protected, or the metadata store failed.
    pub async fn delete_dataset(&self, name: &DatasetName) -> Result<(), DataError> {
        let name = name.clone();
        self.store
            .write(move |tx| {
                let branches = refs::list(tx, &name, RefKind::Branch, "", u32::MAX >> 1)?;
                if let Some(protected) = branches.into_iter().find(|branch| branch.protected) {
                    return Err(DataError::BranchProtected {
                        branch: protected.name,
                    });
                }
                match datasets::delete(tx, &name)? {
                    true => Ok(()),
                    false => Err(DataError::DatasetNotFound { name: name.clone() }),
                }
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

    /// The version must be recorded, and its files kept.
    pub(super) async fn kept(&self, version: &VersionId) -> Result<(), DataError> {
        if self.version(version).await?.expired {
            return Err(DataError::Expired {
                version: version.clone(),
            });
        }
        Ok(())
    }

    /// Files of a version in order of their paths, from after `after` on.
    ///
    /// # Errors
    /// There is no such version, its tree is damaged, or a store failed.
    pub async fn files(
        &self,
        version: &VersionId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Entry>, DataError> {
        // Known to the metadata first: anybody may send records that look like a tree.
        self.kept(version).await?;
        let mut cursor = self.reader.cursor(root(version)?).await?;
        if !after.is_empty() {
            cursor.seek(&format!("{after}\0")).await?;
        }
        let mut entries = Vec::new();
        while entries.len() < limit
            && let Some(entry) = cursor.next_entry().await?
        {
            entries.push(entry);
        }
        Ok(entries)
    }

    /// One file of a version.
    ///
    /// # Errors
    /// There is no such version or file, or a store failed.
    pub async fn file(&self, version: &VersionId, path: &str) -> Result<Entry, DataError> {
        self.kept(version).await?;
        let not_found = || DataError::FileNotFound {
            version: version.clone(),
            path: crate::error::shortened(path),
        };
        let checked: EntryPath = path.parse().map_err(|_| not_found())?;
        let found = self.reader.find(root(version)?, &checked).await?;
        found.ok_or_else(not_found)
    }

    /// Opens a file of a version.
    ///
    /// # Errors
    /// There is no such version or file; it is linked to an object that was changed or is gone; or a store or the
    /// source failed.
    pub async fn open_file(&self, version: &VersionId, path: &str) -> Result<(Entry, BlobReader), DataError> {
        let entry = self.file(version, path).await?;
        let reader = self.open_entry(&entry, None).await?;
        Ok((entry, reader))
    }

    /// Part of a file of a version, as far as the file goes. The caller limits how much it asks for.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub async fn read_range(
        &self,
        version: &VersionId,
        path: &str,
        range: Range<u64>,
    ) -> Result<Bytes, DataError> {
        let entry = self.file(version, path).await?;
        let end = range.end.min(entry.size_bytes);
        let mut reader = self.open_entry(&entry, Some(range.start.min(end)..end)).await?;
        let mut bytes = Vec::with_capacity(usize::try_from(reader.len).unwrap_or(0));
        let read = reader.bytes.read_to_end(&mut bytes).await;
        read.map_err(|error| DataError::io("read", Path::new(path), &error))?;
        Ok(bytes.into())
    }
}

//! Where data lies that is not ours yet: buckets and folders that the administrator has named.
//!
//! A port, [`Source`], with two behind it: [`BucketSource`] and [`FolderSource`]. A request names a source and never
//! an address: else any user could make the server reach what only it can reach.
//!
//! Invariants:
//! - An object is read as it was when it was looked at, told by its etag, or not at all.
//! - A name that cannot be a path is told and left alone.

mod bucket;
mod folder;
mod stream;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::BucketSettings;
use serde::{Deserialize, Serialize};

use crate::error::shortened;
use crate::{DataError, RefName};

pub use bucket::BucketSource;
pub use folder::FolderSource;
pub(crate) use stream::{PART_BYTES, Ranges, parts, stream};

/// Objects of one import: each takes some hundred bytes of memory until all are there.
pub(crate) const OBJECTS_MAX: usize = 1_000_000;

/// An object of a source, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its name in the source, with `/` between the parts.
    pub key: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What the source calls its content; another content has another.
    pub etag: String,
    /// Its version, where the source keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What lies in a folder of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// What can be read.
    pub objects: Vec<Object>,
    /// What cannot be a file of a version, with the reason; the first thousand.
    pub refused: Vec<Refused>,
    /// How many of those there are.
    pub refused_total: u64,
}

/// An object that cannot be a file of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name in the source.
    pub key: String,
    /// Why, as what follows its name.
    pub reason: &'static str,
}

/// A place with objects that others write.
#[async_trait]
pub trait Source: Send + Sync {
    /// Where it is, without secrets; another place is another text.
    fn place(&self) -> String;

    /// Everything below a folder, `""` being the whole source; of more than a million objects so many and one more.
    async fn list(&self, folder: &str) -> Result<Found, DataError>;

    /// What an object is now; None if there is none.
    async fn look(&self, key: &str) -> Result<Option<Object>, DataError>;

    /// A range of an object within its length, which is held in memory; None if it was changed or is gone.
    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Option<Bytes>, DataError>;
}

/// Where a source is.
#[derive(Clone)]
pub enum SourceSettings {
    /// A bucket, or a folder of one.
    Bucket(Box<BucketSettings>),
    /// A folder that the server can read.
    Folder(PathBuf),
    /// One that is open.
    Opened(Arc<dyn Source>),
}

/// A source in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceInfo {
    /// What it is called.
    pub name: String,
    /// `bucket` or `folder`.
    pub kind: &'static str,
    /// Its URL or path.
    pub place: String,
}

/// A source and what it is called.
#[derive(Clone)]
pub(crate) struct Named {
    pub name: String,
    pub source: Arc<dyn Source>,
}

/// A source as it was set.
#[derive(Clone)]
struct Configured {
    kind: &'static str,
    source: Arc<dyn Source>,
}

/// Whether a source can be called so.
pub(crate) fn is_source_name(name: &str) -> bool {
    name.len() <= 40 && !name.contains('/') && name.parse::<RefName>().is_ok()
}

/// The sources of this installation; cheap to clone.
#[derive(Clone, Default)]
pub struct ImportSources(Arc<BTreeMap<String, Configured>>);

impl ImportSources {
    /// Adds one. The name is what users call it, and what linked files remember.
    ///
    /// # Errors
    /// The name cannot be one or is taken; or the settings of a bucket cannot be right.
    pub fn with(mut self, name: &str, settings: SourceSettings) -> Result<Self, DataError> {
        name.parse::<RefName>()?;
        let wrong = |problem| DataError::BadRefName {
            name: shortened(name),
            problem,
        };
        if !is_source_name(name) {
            return Err(wrong(
                "must have at most 40 characters, and no '/', to be a source's",
            ));
        }
        let (kind, source): (_, Arc<dyn Source>) = match settings {
            SourceSettings::Bucket(bucket) => ("bucket", Arc::new(BucketSource::open(name, &bucket)?)),
            SourceSettings::Folder(path) => ("folder", Arc::new(FolderSource::new(path))),
            SourceSettings::Opened(source) => ("opened", source),
        };
        match Arc::make_mut(&mut self.0).insert(name.to_owned(), Configured { kind, source }) {
            None => Ok(self),
            Some(_) => Err(wrong("is a source already")),
        }
    }

    /// Their names, kinds and places.
    pub(crate) fn list(&self) -> Vec<SourceInfo> {
        let info = |(name, set): (&String, &Configured)| SourceInfo {
            name: name.clone(),
            kind: set.kind,
            place: set.source.place(),
        };
        self.0.iter().map(info).collect()
    }

    /// The one of this name.
    pub(crate) fn get(&self, name: &str) -> Result<Named, DataError> {
        let found = self.0.get(name).ok_or_else(|| DataError::SourceNotFound {
            name: shortened(name),
        })?;
        Ok(Named {
            name: name.to_owned(),
            source: Arc::clone(&found.source),
        })
    }
}

/// An object that is being imported.
#[derive(Clone)]
pub(crate) struct Opened {
    pub from: Named,
    pub object: Object,
}

#[async_trait]
impl Ranges for Opened {
    /// Fails if it was changed or is gone, or if the source failed.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, DataError> {
        let read = self.from.source.read(&self.object, range).await?;
        read.ok_or_else(|| DataError::SourceChanged {
            name: self.from.name.clone(),
            object: shortened(&self.object.key),
        })
    }
}

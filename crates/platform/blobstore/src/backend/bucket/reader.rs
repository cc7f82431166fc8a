//! Reading a bucket that others write: its objects by the names that they have there, each as it was when it was
//! listed.
//!
//! Every read names the etag, and the version where there is one, so that bytes of two states of an object are never
//! mixed, and a change is told and not read.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use tokio::time::Instant;

use super::address::{Address, settings_error};
use super::client::{self, Client};
use super::failure::{Failure, FailureKind, Watching};
use super::names::{Unfit, is_fit};
use super::retry::retry;
use super::settings::{BucketLimits, BucketSettings};
use super::{LIST_OPERATIONS, failed};
use crate::BlobError;

/// An object of such a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignObject {
    /// Its name below the folder of the bucket that the settings name.
    pub key: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What the service calls its content, with quotes; None if it does not say.
    pub etag: Option<String>,
    /// Its version, where the bucket keeps versions; a list does not say it.
    pub version: Option<String>,
}

/// What is in a folder of such a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignList {
    /// In the order of the service.
    pub objects: Vec<ForeignObject>,
    /// Names that are no paths, such as `a//b` or `folder/`; the first thousand.
    pub unfit: Vec<String>,
    /// How many there are of those.
    pub unfit_total: u64,
}

/// A bucket that is only read; cheap to clone.
#[derive(Clone)]
pub struct BucketReader {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    prefix: String,
    place: String,
    limits: BucketLimits,
    unfit: Arc<Unfit>,
    /// One list at a time: what it leaves out is noted in one place.
    listing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for BucketReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("BucketReader").field(&self.inner.place).finish()
    }
}

impl BucketReader {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot be right.
    pub fn open(settings: &BucketSettings) -> Result<Self, BlobError> {
        let address = Address::parse(&settings.url)?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let unfit: Arc<Unfit> = Arc::default();
        let watching = Watching::sorting_out(Arc::clone(&unfit));
        let client = client::client(&address, settings, &variable, watching)?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                place: address.place(),
                prefix: address.prefix,
                limits: settings.limits,
                unfit,
                listing: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// Where it is, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// All objects below a folder, at most `limit` and one more; `""` is all of them.
    ///
    /// # Errors
    /// The folder's name is no path, or the service failed.
    pub async fn list(&self, folder: &str, limit: usize) -> Result<ForeignList, BlobError> {
        let inner = &self.inner;
        let folder = folder.trim_end_matches('/');
        let path = match folder {
            "" => Path::from(inner.prefix.as_str()),
            folder => inner.path(folder)?,
        };
        let _only = inner.listing.lock().await;
        let until = Instant::now() + inner.limits.operation * LIST_OPERATIONS;
        let listed = retry(&inner.limits, until, || inner.list(&path, limit)).await;
        listed.map_err(|failure| inner.error("list", folder, failure))
    }

    /// What an object is now; None if there is none.
    ///
    /// # Errors
    /// Its name is no path, or the service failed.
    pub async fn look(&self, key: &str) -> Result<Option<ForeignObject>, BlobError> {
        let inner = &self.inner;
        let path = inner.path(key)?;
        let until = Instant::now() + inner.limits.operation;
        let found = retry(&inner.limits, until, || async {
            Ok(inner.client.objects.head(&path).await?)
        });
        match found.await {
            Ok(meta) => Ok(inner.object(meta)),
            Err(failure) if failure.kind == FailureKind::Missing => Ok(None),
            Err(failure) => Err(inner.error("look at", key, failure)),
        }
    }

    /// A range of an object, which is held in memory, as long as it is what it was; None if it was changed or is gone.
    ///
    /// # Errors
    /// Its name is no path, or the service failed.
    pub async fn read(&self, object: &ForeignObject, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let inner = &self.inner;
        let path = inner.path(&object.key)?;
        let until = Instant::now() + inner.limits.operation;
        match retry(&inner.limits, until, || inner.part(&path, object, range.clone())).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) => match failure.kind {
                FailureKind::Missing | FailureKind::Moved | FailureKind::TooShort => Ok(None),
                _ => Err(inner.error("read", &object.key, failure)),
            },
        }
    }
}

impl Inner {
    /// As it is, and not as a list of parts, of which some would be written otherwise.
    fn path(&self, key: &str) -> Result<Path, BlobError> {
        let name = match self.prefix.as_str() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        };
        let no_path = || settings_error("key", "it is not the name of an object that can be a path");
        if !is_fit(key) {
            return Err(no_path());
        }
        Path::parse(name).map_err(|_| no_path())
    }

    fn object(&self, meta: ObjectMeta) -> Option<ForeignObject> {
        let name = meta.location.as_ref();
        let key = match self.prefix.as_str() {
            "" => name,
            prefix => name.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        Some(ForeignObject {
            key: key.to_owned(),
            size_bytes: meta.size,
            etag: meta.e_tag,
            version: meta.version,
        })
    }

    async fn list(&self, path: &Path, limit: usize) -> Result<ForeignList, Failure> {
        self.unfit.take();
        let mut objects = Vec::new();
        let mut found = self.client.objects.list(Some(path));
        while let Some(found) = found.next().await {
            objects.extend(self.object(found?));
            if objects.len() > limit {
                break;
            }
        }
        let (names, unfit_total) = self.unfit.take();
        let below = |name: String| match self.prefix.as_str() {
            "" => name,
            prefix => {
                let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
                rest.unwrap_or(&name).to_owned()
            }
        };
        Ok(ForeignList {
            objects,
            unfit: names.into_iter().map(below).collect(),
            unfit_total,
        })
    }

    /// Exactly as many bytes as were asked for.
    async fn part(&self, path: &Path, object: &ForeignObject, range: Range<u64>) -> Result<Bytes, Failure> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: object.etag.clone(),
            version: object.version.clone(),
            ..GetOptions::default()
        };
        let answer = self.client.objects.get_opts(path, options).await?;
        // A service that does not know the condition answers with what is there.
        if object.etag.is_some() && answer.meta.e_tag != object.etag {
            return Err(Failure::new(FailureKind::Moved, "the object was changed"));
        }
        if answer.range != range {
            return Err(Failure::new(
                FailureKind::TooShort,
                "the object ends before the range",
            ));
        }
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(len);
        let mut frames = answer.into_stream();
        while let Some(frame) = frames.next().await {
            bytes.extend_from_slice(&frame?);
            if bytes.len() > len {
                return Err(Failure::passing("more came than was announced"));
            }
        }
        match bytes.len() == len {
            true => Ok(bytes.freeze()),
            false => Err(Failure::passing(format!("{} bytes came of {len}", bytes.len()))),
        }
    }

    fn error(&self, action: &'static str, name: &str, failure: Failure) -> BlobError {
        failed(&self.place, action, name, failure)
    }
}

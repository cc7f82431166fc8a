//! Objects in a bucket of S3 or what speaks its protocol, of Google Cloud Storage, or of Azure Blob Storage.
//!
//! What a service says is not taken on trust: what was put is asked for its length before the put is answered,
//! and a range that comes back with other bounds or another number of bytes is an error. What may pass is tried
//! again for a while, and nothing else is. A list is only a hint; `size` asks for the object itself.
//!
//! A put that is given up may leave parts behind that no list shows, and that cost: a rule of the bucket that
//! removes unfinished uploads after some days takes care of them.

mod address;
mod client;
mod failure;
mod names;
mod put;
mod reader;
mod retry;
mod settings;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStoreExt, UpdateVersion};
use tokio::time::Instant;

use super::name_locks::NameLocks;
use super::{Backend, FORMAT, Object};
use crate::BlobError;
use crate::error::Trouble;

use address::Address;
use client::Client;
use failure::{Failure, FailureKind, Watching};
use retry::retry;

pub use reader::{BucketReader, ForeignList, ForeignObject};
pub use settings::{BucketCredentials, BucketLimits, BucketSettings, Secret};

/// Ranges of one read that are asked for at once.
const READS: usize = 8;
/// A list has as long as so many operations.
const LIST_OPERATIONS: u32 = 10;
/// Objects are packs and small files; what is larger by far is not ours and is not taken into memory.
const OBJECT_MAX_BYTES: u64 = 1 << 30;

/// A folder of a bucket; cheap to clone.
#[derive(Clone)]
pub struct BucketBackend {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    prefix: String,
    place: String,
    limits: BucketLimits,
    /// One write of a name at a time, so that the length that is compared is that of this write.
    writing: NameLocks,
}

/// What came of an object.
struct Part {
    bytes: BytesMut,
    range: Range<u64>,
    /// What the service calls the object as it was then.
    version: UpdateVersion,
}

impl std::fmt::Debug for BucketBackend {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("BucketBackend").field(&self.inner.place).finish()
    }
}

impl BucketBackend {
    /// Opens the folder of the bucket and checks that it is reached, and of a form that this program knows.
    ///
    /// # Errors
    /// The settings cannot be right, the bucket is not reached or does not let us, or a newer program has used
    /// it.
    pub async fn open(settings: BucketSettings) -> Result<Self, BlobError> {
        let address = Address::parse(&settings.url)?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let client = client::client(&address, &settings, &variable, Watching::default())?;
        let inner = Inner {
            client,
            place: address.place(),
            prefix: address.prefix,
            limits: settings.limits,
            writing: NameLocks::default(),
        };
        let backend = Self {
            inner: Arc::new(inner),
        };
        backend.check_format().await?;
        Ok(backend)
    }

    async fn check_format(&self) -> Result<(), BlobError> {
        match self.get("format").await? {
            Some(bytes) if bytes.trim_ascii() == FORMAT.as_bytes() => Ok(()),
            Some(bytes) => Err(BlobError::Newer {
                found: String::from_utf8_lossy(&bytes).trim().chars().take(40).collect(),
                supported: FORMAT,
            }),
            None => {
                let line = format!("{FORMAT}\n");
                self.put("format", vec![Bytes::from(line)]).await
            }
        }
    }
}

#[async_trait]
impl Backend for BucketBackend {
    fn place(&self) -> String {
        self.inner.place.clone()
    }

    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        let _only = self.inner.writing.lock(name).await;
        let put = put::put(&self.inner, &self.inner.path(name), &parts).await;
        put.map_err(|failure| self.inner.error("write", name, failure))
    }

    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        let _only = self.inner.writing.lock(name).await;
        let put = put::put_if(&self.inner, &self.inner.path(name), expected, &new).await;
        put.map_err(|failure| self.inner.error("write", name, failure))
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        let path = self.inner.path(name);
        let until = self.inner.until();
        // From its first byte on, and not plainly the whole: then the answer says how long it has to be.
        let whole = GetRange::Offset(0);
        let got = retry(&self.inner.limits, until, || {
            self.inner.part(&path, whole.clone())
        })
        .await;
        let got = match got {
            Ok(part) => Some(part.bytes.freeze()),
            // An empty object has no first byte.
            Err(failure) if failure.kind == FailureKind::TooShort => {
                let size_bytes = self.size(name).await?;
                let is_empty = size_bytes.is_none_or(|size_bytes| size_bytes == 0);
                let changed = || Failure::passing("the object changed while it was read");
                is_empty
                    .then_some(())
                    .ok_or_else(|| self.inner.error("read", name, changed()))?;
                size_bytes.map(|_| Bytes::new())
            }
            Err(failure) if failure.kind == FailureKind::Missing => None,
            Err(failure) => return Err(self.inner.error("read", name, failure)),
        };
        Ok(got)
    }

    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        if ranges.iter().any(|range| range.start > range.end) {
            return Ok(None);
        }
        let (inner, path, until) = (&self.inner, self.inner.path(name), self.inner.until());
        // Nothing cannot be asked for; what is asked for nothing must be there and reach that far all the same.
        let empty_at = ranges
            .iter()
            .filter(|range| range.is_empty())
            .map(|range| range.end)
            .max();
        if ranges.is_empty() || empty_at.is_some() {
            let size_bytes = self.size(name).await?;
            if size_bytes.is_none_or(|size_bytes| size_bytes < empty_at.unwrap_or(0)) {
                return Ok(None);
            }
        }
        let read = ranges.into_iter().map(|range| {
            let path = path.clone();
            async move {
                if range.is_empty() {
                    return Ok(BytesMut::new());
                }
                let bounded = GetRange::Bounded(range.clone());
                let read = retry(&inner.limits, until, || inner.part(&path, bounded.clone())).await?;
                let too_short = || Failure::new(FailureKind::TooShort, "the object ends before the range");
                (read.range == range).then_some(read.bytes).ok_or_else(too_short)
            }
        });
        let read: Vec<_> = read.collect();
        let read: Result<Vec<BytesMut>, Failure> = futures_util::stream::iter(read)
            .buffered(READS)
            .try_collect()
            .await;
        match read {
            Ok(parts) => Ok(Some(parts)),
            Err(failure) if matches!(failure.kind, FailureKind::Missing | FailureKind::TooShort) => Ok(None),
            Err(failure) => Err(self.inner.error("read", name, failure)),
        }
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        let path = self.inner.path(name);
        let until = self.inner.until();
        match retry(&self.inner.limits, until, || self.inner.head(&path)).await {
            Ok(size_bytes) => Ok(Some(size_bytes)),
            Err(failure) if failure.kind == FailureKind::Missing => Ok(None),
            Err(failure) => Err(self.inner.error("look at", name, failure)),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        let path = self.inner.path(folder);
        let until = Instant::now() + self.inner.limits.operation * LIST_OPERATIONS;
        // From the start again if a page fails: not every service has an order in which to go on.
        let listed = retry(&self.inner.limits, until, || self.inner.list(&path)).await;
        listed.map_err(|failure| self.inner.error("list", folder, failure))
    }

    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        let _only = self.inner.writing.lock(name).await;
        let path = self.inner.path(name);
        let until = self.inner.until();
        let removed = retry(&self.inner.limits, until, || self.inner.delete(&path));
        match removed.await {
            Err(failure) if failure.kind != FailureKind::Missing => {
                Err(self.inner.error("remove", name, failure))
            }
            _ => Ok(()),
        }
    }
}

impl Inner {
    fn path(&self, name: &str) -> Path {
        let parts = self.prefix.split('/').chain(name.split('/'));
        parts.filter(|part| !part.is_empty()).collect()
    }

    fn until(&self) -> Instant {
        Instant::now() + self.limits.operation
    }

    async fn head(&self, path: &Path) -> Result<u64, Failure> {
        Ok(self.client.objects.head(path).await?.size)
    }

    /// That there is none is fine. Azure's batches report it in words of their own, so it is looked for: one that
    /// could not be removed and is not there is removed.
    async fn delete(&self, path: &Path) -> Result<(), Failure> {
        let Err(error) = self.client.objects.delete(path).await else {
            return Ok(());
        };
        let failure = Failure::from(error);
        if failure.kind == FailureKind::Passing
            && let Err(looked) = self.head(path).await
            && looked.kind == FailureKind::Missing
        {
            return Ok(());
        }
        Err(failure)
    }

    /// A range, and what of it is there: it may end before the range does. Exactly as many bytes as it says.
    async fn part(&self, path: &Path, range: GetRange) -> Result<Part, Failure> {
        let options = GetOptions {
            range: Some(range),
            ..GetOptions::default()
        };
        let answer: GetResult = self.client.objects.get_opts(path, options).await?;
        let range = answer.range.clone();
        let version = UpdateVersion {
            e_tag: answer.meta.e_tag.clone(),
            version: answer.meta.version.clone(),
        };
        let len = range.end - range.start;
        if len > OBJECT_MAX_BYTES {
            let message = format!("its {len} bytes are more than an object may have");
            return Err(Failure::new(FailureKind::Lasting(Trouble::Refused), message));
        }
        let expected = usize::try_from(len).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(expected);
        let mut frames = answer.into_stream();
        while let Some(frame) = frames.next().await {
            let frame = frame?;
            if bytes.len() + frame.len() > expected {
                return Err(Failure::passing(format!(
                    "more came than the {len} bytes that were announced"
                )));
            }
            bytes.extend_from_slice(&frame);
        }
        if bytes.len() < expected {
            let message = format!("{} bytes came of the {len} that were announced", bytes.len());
            return Err(Failure::passing(message));
        }
        Ok(Part {
            bytes,
            range,
            version,
        })
    }

    async fn list(&self, path: &Path) -> Result<Vec<Object>, Failure> {
        let mut objects = Vec::new();
        let mut found = self.client.objects.list(Some(path));
        while let Some(found) = found.next().await {
            let found = found?;
            let name = found.location.as_ref();
            let name = match self.prefix.as_str() {
                "" => Some(name),
                prefix => name.strip_prefix(prefix).and_then(|name| name.strip_prefix('/')),
            };
            objects.extend(name.map(|name| Object {
                name: name.to_owned(),
                size_bytes: found.size,
            }));
        }
        Ok(objects)
    }

    fn error(&self, action: &'static str, name: &str, failure: Failure) -> BlobError {
        failed(&self.place, action, name, failure)
    }
}

/// A failure as an error about an object.
fn failed(place: &str, action: &'static str, name: &str, failure: Failure) -> BlobError {
    let trouble = match failure.kind {
        FailureKind::Passing | FailureKind::TriedEnough | FailureKind::TooShort => Trouble::Unavailable,
        FailureKind::Moved => Trouble::Refused,
        FailureKind::Missing => Trouble::NoBucket,
        FailureKind::Lasting(trouble) => trouble,
    };
    BlobError::Remote {
        action,
        object: format!("{}/{name}", place.trim_end_matches('/')),
        trouble,
        message: failure.message,
    }
}

//! Files whose bytes lie in a source: opened and laid out as if they were stored.
//!
//! Every range is read under the etag that the link remembers, so bytes of another state are never given out: what was
//! changed is an error that names the file and the object.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::{BlobReader, Placement};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::io::StreamReader;

use super::import::{TURNS, turns};
use super::{DataService, blocking};
use crate::link::{self, Link, LinkTrouble};
use crate::source::{self, Named, Object, PART_BYTES, Ranges};
use crate::{DataError, Entry};

/// A linked file that is being read.
#[derive(Clone)]
pub(super) struct Followed {
    path: String,
    from: Named,
    link: Link,
}

#[async_trait]
impl Ranges for Followed {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, DataError> {
        let read = self.from.source.read(&self.link.object, range).await;
        match read.map_err(|error| self.away(error))? {
            Some(bytes) => Ok(bytes),
            None => Err(self.trouble(self.now().await?.is_some())),
        }
    }
}

impl Followed {
    async fn now(&self) -> Result<Option<Object>, DataError> {
        let found = self.from.source.look(&self.link.object.key).await;
        found.map_err(|error| self.away(error))
    }

    /// What a folder fails with is about a path of the server's, and says nothing of who asked for which file.
    fn away(&self, error: DataError) -> DataError {
        match error {
            // It names the source, the object and what is to be done.
            DataError::Source { .. } => error,
            other => DataError::Link {
                path: self.path.clone(),
                trouble: LinkTrouble::SourceAway {
                    source: self.link.source.clone(),
                    problem: other.to_string(),
                },
            },
        }
    }

    fn trouble(&self, is_there: bool) -> DataError {
        let (source, key) = (self.link.source.clone(), self.link.object.key.clone());
        DataError::Link {
            path: self.path.clone(),
            trouble: match is_there {
                true => LinkTrouble::Changed { source, key },
                false => LinkTrouble::Gone { source, key },
            },
        }
    }

    /// Whether the object is still the one that was linked, without reading it.
    pub(super) async fn look(&self) -> Result<Option<DataError>, DataError> {
        let object = &self.link.object;
        if object.version.is_some() && object.size_bytes > 0 {
            // Another version may be the newest: a byte of this one tells whether it is there.
            return match self.read(0..1).await {
                Ok(_) => Ok(None),
                Err(error) if is_broken(&error) => Ok(Some(error)),
                Err(error) => Err(error),
            };
        }
        let found = self.now().await?;
        let is_same = found
            .as_ref()
            .is_some_and(|found| found.etag == object.etag && found.size_bytes == object.size_bytes);
        Ok((!is_same).then(|| self.trouble(found.is_some())))
    }
}

impl DataService {
    /// The links of some files that have one, in order.
    ///
    /// # Errors
    /// A link is not what it was, or the blob store failed.
    pub(super) async fn links(&self, entries: &[&Entry]) -> Result<Vec<Link>, DataError> {
        let ids = entries.iter().map(|entry| entry.blob).collect();
        let links = link::read(&self.blobs, ids).await?;
        let both = entries.iter().zip(links);
        both.map(|(entry, link)| link.map_err(|problem| link::invalid(entry.path.as_str(), problem)))
            .collect()
    }

    /// The links of the files that have one, beside them; none where a link is damaged.
    ///
    /// # Errors
    /// The blob store failed.
    pub(crate) async fn with_links(
        &self,
        entries: Vec<Entry>,
    ) -> Result<Vec<(Entry, Option<Link>)>, DataError> {
        let linked = entries.iter().filter(|entry| entry.link);
        let ids = linked.map(|entry| entry.blob).collect();
        let mut links = link::read_sound(&self.blobs, ids).await?.into_iter();
        let with = |entry: Entry| {
            let link = entry.link.then(|| links.next()).flatten().flatten();
            (entry, link)
        };
        Ok(entries.into_iter().map(with).collect())
    }

    /// Where the bytes of some linked files are to be read, in order; nothing is asked of a source yet.
    ///
    /// # Errors
    /// A source is not configured; or as [`Self::links`].
    pub(super) async fn follow(&self, entries: &[&Entry]) -> Result<Vec<Followed>, DataError> {
        let links = self.links(entries).await?;
        let both = entries.iter().zip(links);
        both.map(|(entry, link)| self.followed(entry.path.as_str(), link))
            .collect()
    }

    pub(super) fn followed(&self, path: &str, link: Link) -> Result<Followed, DataError> {
        let from = self.imports.get(&link.source).map_err(|_| DataError::Link {
            path: path.to_owned(),
            trouble: LinkTrouble::SourceUnknown {
                source: link.source.clone(),
            },
        })?;
        Ok(Followed {
            path: path.to_owned(),
            from,
            link,
        })
    }

    /// Opens a file or a range within it. As of a stored one, the first part is read before this answers: an object
    /// that was changed is an error and not a broken stream.
    ///
    /// # Errors
    /// The file is stored and damaged, or linked and not what it was; or a store or the source failed.
    pub(super) async fn open_entry(
        &self,
        entry: &Entry,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, DataError> {
        let Some(followed) = self.follow_one(entry).await? else {
            return Ok(self.blobs.open(entry.blob, range).await?);
        };
        let range = range.unwrap_or(0..entry.size_bytes);
        let start = range.start.saturating_add(PART_BYTES).min(range.end);
        let first = match range.start < start {
            true => followed.read(range.start..start).await?,
            // Nothing to be read: there is nothing that could be another.
            false => Bytes::new(),
        };
        let rest = source::parts(followed, start..range.end);
        let all: BoxStream<'static, io::Result<Bytes>> = stream::iter([Ok(first)])
            .chain(rest)
            .map_err(io::Error::other)
            .boxed();
        Ok(BlobReader {
            bytes: Box::new(StreamReader::new(all)),
            len: range.end.saturating_sub(range.start),
            size_bytes: entry.size_bytes,
        })
    }

    /// None if the file is stored.
    pub(super) async fn follow_one(&self, entry: &Entry) -> Result<Option<Followed>, DataError> {
        match entry.link {
            true => Ok(self.follow(&[entry]).await?.pop()),
            false => Ok(None),
        }
    }

    /// Makes files, each for its entry.
    ///
    /// # Errors
    /// As [`Self::open_entry`]; or a file cannot be made.
    pub(super) async fn lay_out(&self, files: Vec<(Entry, Placement)>) -> Result<(), DataError> {
        let (linked, stored): (Vec<_>, Vec<_>) = files.into_iter().partition(|(entry, _)| entry.link);
        let entries: Vec<&Entry> = linked.iter().map(|(entry, _)| entry).collect();
        // Before anything is written: a source that is not there is told at once.
        let followed = self.follow(&entries).await?;
        let stored = stored.into_iter().map(|(_, file)| file).collect();
        self.blobs.materialise(stored).await?;
        let files = followed.into_iter().zip(linked);
        stream::iter(files)
            .map(|(followed, (entry, file))| self.write_linked(followed, entry.size_bytes, file))
            .buffer_unordered(TURNS)
            .try_collect()
            .await
    }

    async fn write_linked(&self, from: Followed, size_bytes: u64, file: Placement) -> Result<(), DataError> {
        // With the imports, which bounds the memory of both.
        let _turn = self.objects.acquire_many(turns(size_bytes)).await;
        let Placement { path, create, .. } = file;
        let (mut path, mut target) = blocking(move || {
            let target = create().map_err(|error| unwritable(&path, &error))?;
            Ok((path, target))
        })
        .await?;
        let mut parts = source::parts(from, 0..size_bytes);
        while let Some(part) = parts.next().await.transpose()? {
            (path, target) = blocking(move || {
                target
                    .write_all(&part)
                    .map_err(|error| unwritable(&path, &error))?;
                Ok((path, target))
            })
            .await?;
        }
        blocking(move || target.flush().map_err(|error| unwritable(&path, &error))).await
    }
}

/// Whether it is about the object, and not about its source.
const fn is_broken(error: &DataError) -> bool {
    matches!(
        error,
        DataError::Link {
            trouble: LinkTrouble::Changed { .. } | LinkTrouble::Gone { .. },
            ..
        }
    )
}

fn unwritable(path: &Path, error: &io::Error) -> DataError {
    DataError::io("write", path, error)
}

//! A folder of the server's machine, such as a mounted share, as a source.
//!
//! What a file's content is called is taken from its size, times and inode: there is no etag of a file. So a change
//! that leaves all of them as they were, which takes setting the clock, is not noticed.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Found, OBJECTS_MAX, Object, Refused, Source};
use crate::service::blocking;
use crate::snapshot::Root;
use crate::{DataError, EntryPath};

/// Reads a folder; links are not followed below it.
pub struct FolderSource {
    path: PathBuf,
}

impl FolderSource {
    /// Nothing is looked at yet: a share may be mounted later.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

/// A path of an object; None if it cannot be one.
fn path_of(key: &str) -> Option<PathBuf> {
    key.parse::<EntryPath>()
        .ok()
        .map(|path| PathBuf::from(path.as_str()))
}

fn object(key: &str, file: &std::fs::Metadata) -> Object {
    let etag = format!(
        "{}.{:09}-{}.{:09}-{}-{}",
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
        file.ino(),
        file.len()
    );
    Object {
        key: key.to_owned(),
        size_bytes: file.len(),
        etag,
        version: None,
    }
}

/// Opens a file and says what it is; None if it is gone or something else.
fn opened(root: &Path, key: &str) -> Result<Option<(File, Object)>, DataError> {
    let Some(path) = path_of(key) else { return Ok(None) };
    match Root::hold(root)?.open(&path) {
        Ok(file) => {
            let metadata = file
                .metadata()
                .map_err(|error| DataError::io("look at", &path, &error))?;
            Ok(Some((file, object(key, &metadata))))
        }
        Err(DataError::Changed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Source for FolderSource {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    async fn list(&self, folder: &str) -> Result<Found, DataError> {
        let (root, folder) = (self.path.clone(), folder.trim_end_matches('/').to_owned());
        blocking(move || {
            let root = Root::hold(&root)?;
            let below = match folder.as_str() {
                "" => PathBuf::new(),
                folder => match path_of(folder) {
                    Some(path) => path,
                    None => return Ok(Found::default()),
                },
            };
            // A link on the way there could lead anywhere.
            let real = root.path().join(&below);
            if real.canonicalize().ok().as_deref() != Some(real.as_path()) || !real.is_dir() {
                return Ok(Found::default());
            }
            walk(root.path(), below)
        })
        .await
    }

    async fn look(&self, key: &str) -> Result<Option<Object>, DataError> {
        let (root, key) = (self.path.clone(), key.to_owned());
        blocking(move || Ok(opened(&root, &key)?.map(|(_, object)| object))).await
    }

    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Option<Bytes>, DataError> {
        let (root, wanted) = (self.path.clone(), object.clone());
        blocking(move || {
            let Some((file, found)) = opened(&root, &wanted.key)?.filter(|(_, found)| *found == wanted)
            else {
                return Ok(None);
            };
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            let read = file.read_exact_at(&mut bytes, range.start);
            let after = file
                .metadata()
                .map_err(|error| DataError::io("look at", Path::new(&wanted.key), &error))?;
            // Written to while it was read.
            if self::object(&found.key, &after) != found {
                return Ok(None);
            }
            match read {
                Ok(()) => Ok(Some(Bytes::from(bytes))),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
                Err(error) => Err(DataError::io("read", Path::new(&wanted.key), &error)),
            }
        })
        .await
    }
}

/// Everything below a folder of the root.
fn walk(root: &Path, below: PathBuf) -> Result<Found, DataError> {
    let mut found = Found::default();
    let mut folders = vec![below];
    while let Some(folder) = folders.pop() {
        let absolute = root.join(&folder);
        let listed = std::fs::read_dir(&absolute).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = match listed {
            Ok(entries) => entries,
            // Removed since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(DataError::io("list", &absolute, &error)),
        };
        for entry in entries {
            let relative = folder.join(entry.file_name());
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(DataError::io("look at", &relative, &error)),
            };
            if metadata.is_dir() {
                folders.push(relative);
                continue;
            }
            let reason = match relative.to_str() {
                Some(key) if metadata.is_file() => {
                    found.objects.push(object(key, &metadata));
                    None
                }
                None => Some("has a name that is not valid UTF-8"),
                Some(_) if metadata.is_symlink() => Some("is a link"),
                Some(_) => Some("is a pipe, socket or device"),
            };
            if let Some(reason) = reason {
                found.refused_total += 1;
                found.refused.push(Refused {
                    key: relative.to_string_lossy().into_owned(),
                    reason,
                });
            }
            if found.objects.len() + found.refused.len() > OBJECTS_MAX {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

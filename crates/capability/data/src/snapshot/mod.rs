//! A local folder as a tree: what the CLI sends and what the server makes of a step's output.
//!
//! Everything here blocks; call it from a thread that may. No server is needed.

mod beneath;
mod ignore;
mod walk;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use corliss_blobstore::{BlobInfo, id_of_reader};

use crate::config::{Limits, READ_ATTEMPTS};
use crate::{DataError, Entry, EntryPath, Tree};

pub(crate) use beneath::Root;

/// What a folder is, which decides what is left out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A project's code: without version control, caches, virtual environments and build results.
    Code,
    /// Data: everything, unless `.corlissignore` says otherwise.
    Data,
}

/// How to take a snapshot.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the folder is.
    pub kind: Kind,
    /// Files and folders to leave out, relative to the root: a project's own data folders, for one.
    pub exclude: Vec<PathBuf>,
    /// The most files.
    pub max_files: usize,
}

impl Options {
    /// Takes a folder of this kind, whole.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            exclude: Vec::new(),
            max_files: Limits::default().files,
        }
    }
}

/// What tells that a file is still the one that was looked at, as far as its metadata can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size_bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
    mode: u32,
}

impl Stamp {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        let ns = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            size_bytes: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }

    pub(crate) const fn executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// A file found in a folder, not yet read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: EntryPath,
    /// Where its bytes are, relative to the root; another path if it was a link.
    pub(crate) source: PathBuf,
}

/// The files of a folder, in byte order of their paths.
pub(crate) fn scan(root: &Path, options: &Options) -> Result<(Root, Vec<Found>), DataError> {
    let root = Root::hold(root)?;
    let found = walk::walk(&root, options)?;
    Ok((root, found))
}

/// A folder as it was.
#[derive(Debug)]
pub struct Snapshot {
    tree: Tree,
    root: Root,
    sources: BTreeMap<EntryPath, PathBuf>,
}

/// Reads and hashes a folder.
///
/// # Errors
/// Something in it cannot be part of a version, changes all the time, or cannot be read.
pub fn take(root: &Path, options: &Options) -> Result<Snapshot, DataError> {
    let (root, found) = scan(root, options)?;
    let mut entries = Vec::with_capacity(found.len());
    let mut sources = BTreeMap::new();
    for file in found {
        entries.push(hash(&root, &file)?);
        sources.insert(file.path, file.source);
    }
    Ok(Snapshot {
        tree: Tree::new(entries)?,
        root,
        sources,
    })
}

impl Snapshot {
    /// The files.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Opens a file of the snapshot to send it. It may have changed since: the receiver compares digests.
    ///
    /// # Errors
    /// It is gone, or no longer a file within the folder.
    pub fn open(&self, path: &EntryPath) -> Result<File, DataError> {
        let source = self
            .sources
            .get(path)
            .map_or_else(|| Path::new(path.as_str()), PathBuf::as_path);
        self.root.open(source)
    }
}

fn hash(root: &Root, found: &Found) -> Result<Entry, DataError> {
    unchanging(root, found, |file| {
        id_of_reader(&file).map_err(|error| DataError::io("read", &found.source, &error))
    })
}

/// Reads a file until its stamp is the same before and after, at most [`READ_ATTEMPTS`] times.
fn unchanging(
    root: &Root,
    found: &Found,
    mut read: impl FnMut(File) -> Result<BlobInfo, DataError>,
) -> Result<Entry, DataError> {
    for attempt in 1..=READ_ATTEMPTS {
        let before = root.stamp(&found.source)?;
        let BlobInfo { id, size_bytes } = read(root.open(&found.source)?)?;
        if root.stamp(&found.source)? == before && size_bytes == before.size_bytes {
            return Ok(Entry {
                path: found.path.clone(),
                blob: id,
                size_bytes,
                executable: before.executable(),
            });
        }
        std::thread::sleep(pause(attempt));
    }
    Err(DataError::Changed {
        path: found.path.to_string(),
        attempts: READ_ATTEMPTS,
    })
}

/// Before reading a file again that changed; longer each time, as a slow writer may still be at it.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(25 << attempt.min(4))
}

#[cfg(test)]
mod tests;

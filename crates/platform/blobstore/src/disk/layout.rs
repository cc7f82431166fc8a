//! Where things lie in the folder, and bringing them there durably.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use crate::{BlobError, BlobId, BlobInfo};

/// Raise when the layout changes; a newer one is refused.
const FORMAT: &str = "corliss-blobs 1";

/// An open blob folder.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    pub(super) scratch: Scratch,
}

impl Layout {
    pub(super) fn open(root: PathBuf) -> Result<Self, BlobError> {
        make_folder(&root)?;
        check_format(&root)?;
        let scratch = Scratch::open(&root.join("tmp"))?;
        Ok(Self { root, scratch })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a blob; two digits, so that none gets too long to list.
    pub(super) fn folder(&self, id: BlobId) -> PathBuf {
        self.root.join(&id.to_string()[..2])
    }

    pub(super) fn path(&self, id: BlobId) -> PathBuf {
        self.folder(id).join(id.to_string())
    }

    pub(super) fn stat(&self, id: BlobId) -> Result<Option<BlobInfo>, BlobError> {
        let path = self.path(id);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(BlobInfo {
                id,
                size_bytes: metadata.len(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_at("look at", &path, &error)),
        }
    }

    /// Gives synced scratch files their names. Not durable before [`Layout::sync_folders`].
    pub(super) fn publish(&self, scratch: &Path, id: BlobId) -> Result<(), BlobError> {
        let (folder, path) = (self.folder(id), self.path(id));
        match fs::rename(scratch, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => {
                make_folder(&folder)?;
                fs::rename(scratch, &path).map_err(|error| io_at("write", &path, &error))
            }
            Err(error) => Err(io_at("write", &path, &error)),
            Ok(()) => Ok(()),
        }
    }

    /// Makes the names of blobs durable, also of those that somebody else has only just published.
    pub(super) fn sync_folders(&self, ids: impl Iterator<Item = BlobId>) -> Result<(), BlobError> {
        let folders: BTreeSet<PathBuf> = ids.map(|id| self.folder(id)).collect();
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }
}

/// Makes a folder and its name durable; that it exists already is fine.
fn make_folder(folder: &Path) -> Result<(), BlobError> {
    fs::create_dir_all(folder).map_err(|error| io_at("make the folder", folder, &error))?;
    folder.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|error| io_at("sync the folder", folder, &error))
}

fn check_format(root: &Path) -> Result<(), BlobError> {
    let path = root.join("format");
    match fs::read_to_string(&path) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => Err(BlobError::Newer {
            found: found.trim().chars().take(40).collect(),
            supported: FORMAT,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let partial = root.join("format.tmp");
            fs::write(&partial, format!("{FORMAT}\n"))
                .and_then(|()| File::open(&partial)?.sync_all())
                .and_then(|()| fs::rename(&partial, &path))
                .map_err(|error| io_at("write", &path, &error))?;
            sync_folder(root)
        }
        Err(error) => Err(io_at("read", &path, &error)),
    }
}

/// A file system's error on a path.
pub(super) fn io_at(action: &'static str, path: &Path, error: &io::Error) -> BlobError {
    BlobError::io(action, &path.display().to_string(), error)
}

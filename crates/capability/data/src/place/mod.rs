//! Laying a version out as a read-only folder that steps read, once for all of them.
//!
//! The folder appears whole, by a rename. Beside it lies `.NAME.stamps`: what every file looked like when it
//! was laid out. Before the folder is given out again the stamps are compared, so a step that wrote into its
//! input (as root, no mode stops it) spoils neither the kept blobs nor the next step's input: a folder that
//! no longer matches is set aside and laid out anew. Change times cannot be set back by hand, and stamps of
//! an earlier boot are not trusted, as what was laid out is not synced.

mod remove;
mod stamps;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use corliss_blobstore::{Placement, id_of_reader};
use corliss_types::VersionId;

use crate::snapshot::Root;
use crate::{DataError, Tree};

use remove::remove_tree;

/// Where a version is laid out, and what lies beside it meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    building: PathBuf,
    discarded: PathBuf,
    stamps: PathBuf,
}

impl Place {
    /// The folder need not exist; its parent is made.
    pub(crate) fn new(folder: &Path) -> Result<Self, DataError> {
        let wrong = || DataError::NotAFolder {
            path: folder.display().to_string(),
        };
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(wrong)?;
        let parent = folder.parent().ok_or_else(wrong)?;
        fs::create_dir_all(parent).map_err(|error| DataError::io("make the folder", parent, &error))?;
        let beside = |suffix: &str| parent.join(format!(".{name}.{suffix}"));
        Ok(Self {
            folder: folder.to_path_buf(),
            building: beside("building"),
            discarded: beside("discarded"),
            stamps: beside("stamps"),
        })
    }

    /// Whether the folder is there and as it was laid out.
    pub(crate) fn is_sound(&self, version: &VersionId) -> Result<bool, DataError> {
        if !self.folder.is_dir() {
            return Ok(false);
        }
        let now = stamps::collect(&self.folder, version)?;
        Ok(fs::read_to_string(&self.stamps).is_ok_and(|then| then == now))
    }

    /// Clears the way, makes the folders, and answers what the blob store is to put into them.
    pub(crate) fn prepare(&self, tree: &Tree) -> Result<Vec<Placement>, DataError> {
        for remains in [&self.building, &self.discarded] {
            remove_tree(remains)?;
        }
        if self.folder.symlink_metadata().is_ok() {
            fs::rename(&self.folder, &self.discarded)
                .map_err(|error| DataError::io("set aside", &self.folder, &error))?;
            remove_tree(&self.discarded)?;
        }
        make_folder(&self.building)?;
        for folder in folders(tree) {
            make_folder(&self.building.join(folder))?;
        }
        let place = |entry: &crate::Entry| Placement {
            id: entry.blob,
            path: self.building.join(entry.path.as_str()).into(),
            executable: entry.executable,
        };
        Ok(tree.entries().iter().map(place).collect())
    }

    /// Closes the folders to writers, records the stamps and lets the folder appear.
    pub(crate) fn finish(&self, version: &VersionId, tree: &Tree) -> Result<(), DataError> {
        let failed = |path: &Path, error: std::io::Error| DataError::io("write", path, &error);
        for folder in folders(tree)
            .iter()
            .rev()
            .map(|folder| self.building.join(folder))
        {
            close(&folder)?;
        }
        close(&self.building)?;
        let partial = self.stamps.with_extension("stamps-new");
        let stamps = stamps::collect(&self.building, version)?;
        fs::write(&partial, stamps).map_err(|error| failed(&partial, error))?;
        fs::rename(&partial, &self.stamps).map_err(|error| failed(&self.stamps, error))?;
        fs::rename(&self.building, &self.folder).map_err(|error| failed(&self.folder, error))
    }

    /// Reads every file and compares the folder with the tree.
    pub(crate) fn verify(&self, version: &VersionId, tree: &Tree) -> Result<(), DataError> {
        let damaged = |message: String| DataError::Damaged {
            version: version.clone(),
            message,
        };
        for path in stamps::files(&self.folder)? {
            if tree.find(&path).is_none() {
                return Err(damaged(format!("'{path}' does not belong to it")));
            }
        }
        let root = Root::hold(&self.folder)?;
        for entry in tree.entries() {
            let file = root.open(Path::new(entry.path.as_str())).ok();
            let read = file.and_then(|file| id_of_reader(&file).ok());
            if read.map(|blob| blob.id) != Some(entry.blob) {
                return Err(damaged(format!("'{}' is not what was laid out", entry.path)));
            }
        }
        Ok(())
    }
}

/// The folders of a tree, each after the one it lies in.
fn folders(tree: &Tree) -> BTreeSet<&str> {
    tree.entries()
        .iter()
        .flat_map(|entry| entry.path.folders())
        .collect()
}

fn make_folder(folder: &Path) -> Result<(), DataError> {
    fs::create_dir(folder).map_err(|error| DataError::io("make the folder", folder, &error))
}

fn close(folder: &Path) -> Result<(), DataError> {
    fs::set_permissions(folder, Permissions::from_mode(0o555))
        .map_err(|error| DataError::io("write", folder, &error))
}

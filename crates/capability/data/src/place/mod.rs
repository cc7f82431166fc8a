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
use crate::{DataError, Entry};

use remove::remove_tree;

/// Ends the name of stamps that are being written.
const NEW_STAMPS: &str = "stamps-new";

/// Where a version is laid out, and what lies beside it meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    building: PathBuf,
    discarded: PathBuf,
    stamps: PathBuf,
}

impl Place {
    /// Neither the folder nor its parent need exist.
    pub(crate) fn new(folder: &Path) -> Result<Self, DataError> {
        let wrong = || DataError::NotAFolder {
            path: folder.display().to_string(),
        };
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(wrong)?;
        let parent = folder.parent().ok_or_else(wrong)?;
        let beside = |suffix: &str| parent.join(format!(".{name}.{suffix}"));
        Ok(Self {
            folder: folder.to_path_buf(),
            building: beside("building"),
            discarded: beside("discarded"),
            stamps: beside("stamps"),
        })
    }

    /// Makes the folder in which it lies.
    pub(crate) fn make_parent(&self) -> Result<(), DataError> {
        let Some(parent) = self.folder.parent() else {
            return Ok(());
        };
        fs::create_dir_all(parent).map_err(|error| DataError::io("make the folder", parent, &error))
    }

    /// Bytes of the files of what was laid out; 0 if that is not known.
    pub(crate) fn bytes(&self) -> u64 {
        stamps::bytes(&self.stamps).unwrap_or(0)
    }

    /// Removes the folder and all that is beside it.
    pub(crate) fn remove(&self) -> Result<(), DataError> {
        if self.folder.symlink_metadata().is_ok() {
            remove_tree(&self.discarded)?;
            fs::rename(&self.folder, &self.discarded)
                .map_err(|error| DataError::io("set aside", &self.folder, &error))?;
        }
        for remains in [
            &self.building,
            &self.discarded,
            &self.stamps,
            &self.stamps.with_extension(NEW_STAMPS),
        ] {
            remove_tree(remains)?;
        }
        Ok(())
    }

    /// Whether the folder is there and as it was laid out.
    pub(crate) fn is_sound(&self, version: &VersionId) -> Result<bool, DataError> {
        if !self.folder.is_dir() {
            return Ok(false);
        }
        let now = stamps::collect(&self.folder, version)?;
        Ok(fs::read_to_string(&self.stamps).is_ok_and(|then| then == now))
    }

    /// Clears the way and makes the folder in which the version is built.
    pub(crate) fn prepare(&self) -> Result<(), DataError> {
        for remains in [&self.building, &self.discarded] {
            remove_tree(remains)?;
        }
        if self.folder.symlink_metadata().is_ok() {
            fs::rename(&self.folder, &self.discarded)
                .map_err(|error| DataError::io("set aside", &self.folder, &error))?;
            remove_tree(&self.discarded)?;
        }
        make_folder(&self.building)
    }

    /// Makes the folders of some entries, which come in order of their paths, and answers what the blob store is
    /// to put into them. `last` is the folder of the entry before.
    pub(crate) fn placements(
        &self,
        entries: &[Entry],
        last: &mut PathBuf,
    ) -> Result<Vec<Placement>, DataError> {
        let mut placements = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = self.building.join(entry.path.as_str());
            let folder = path.parent().unwrap_or(&self.building);
            if folder != last {
                fs::create_dir_all(folder)
                    .map_err(|error| DataError::io("make the folder", folder, &error))?;
                *last = folder.to_path_buf();
            }
            let mode = if entry.executable { 0o555 } else { 0o444 };
            placements.push(Placement::new(entry.blob, path, mode));
        }
        Ok(placements)
    }

    /// Closes the folders to writers, records the stamps and lets the folder appear.
    pub(crate) fn finish(&self, version: &VersionId) -> Result<(), DataError> {
        let failed = |path: &Path, error: std::io::Error| DataError::io("write", path, &error);
        for folder in stamps::folders(&self.building)? {
            close(&self.building.join(folder))?;
        }
        close(&self.building)?;
        let partial = self.stamps.with_extension(NEW_STAMPS);
        let stamps = stamps::collect(&self.building, version)?;
        fs::write(&partial, stamps).map_err(|error| failed(&partial, error))?;
        fs::rename(&partial, &self.stamps).map_err(|error| failed(&self.stamps, error))?;
        fs::rename(&self.building, &self.folder).map_err(|error| failed(&self.folder, error))
    }

    /// What lies in the folder.
    pub(crate) fn files(&self) -> Result<BTreeSet<String>, DataError> {
        Ok(stamps::files(&self.folder)?.into_iter().collect())
    }

    /// Reads some files and compares them with their entries; takes each out of `files`.
    pub(crate) fn verify(
        &self,
        version: &VersionId,
        entries: &[Entry],
        files: &mut BTreeSet<String>,
    ) -> Result<(), DataError> {
        let root = Root::hold(&self.folder)?;
        for entry in entries {
            files.remove(entry.path.as_str());
            let file = root.open(Path::new(entry.path.as_str())).ok();
            let read = file.and_then(|file| id_of_reader(&file).ok());
            let is_same = read.is_some_and(|blob| match entry.link {
                false => blob.id == entry.blob,
                true => blob.size_bytes == entry.size_bytes,
            });
            if !is_same {
                return Err(DataError::Damaged {
                    version: version.clone(),
                    message: format!("'{}' is not what was laid out", entry.path),
                });
            }
        }
        Ok(())
    }
}

fn make_folder(folder: &Path) -> Result<(), DataError> {
    fs::create_dir(folder).map_err(|error| DataError::io("make the folder", folder, &error))
}

fn close(folder: &Path) -> Result<(), DataError> {
    fs::set_permissions(folder, Permissions::from_mode(0o555))
        .map_err(|error| DataError::io("write", folder, &error))
}

//! The folder of an input cache:
//!
//! ```text
//! <version>/                  the version, read-only
//! <version>@<run>/            the same for one run alone: somebody wrote into the other
//! .<version>.holds/<run>      the run reads it; changed last when it was held or released last
//! .*                          what is kept beside folders that are laid out
//! ```
//!
//! It is all that is known, so a server that was killed goes on where it was.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use corliss_types::{RunId, VersionId};
use nix::sys::statvfs::statvfs;

use crate::DataError;
use crate::place::Place;

const HOLDS: &str = ".holds";

pub(super) struct Shelf {
    folder: PathBuf,
}

/// A version that nobody holds.
pub(super) struct Idle {
    pub version: VersionId,
    /// Of its files.
    pub bytes: u64,
    /// Since somebody held it.
    pub age: Duration,
}

impl Shelf {
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where it lies for all.
    pub fn shared(&self, version: &VersionId) -> PathBuf {
        self.folder.join(version.as_str())
    }

    /// Where it lies for one run.
    pub fn own(&self, version: &VersionId, run: &RunId) -> PathBuf {
        self.folder.join(format!("{version}@{run}"))
    }

    fn holds(&self, version: &VersionId) -> PathBuf {
        self.folder.join(format!(".{version}{HOLDS}"))
    }

    /// Notes that the run reads it; answers whether others do.
    pub fn hold(&self, version: &VersionId, run: &RunId) -> Result<bool, DataError> {
        let holds = self.holds(version);
        fs::create_dir_all(&holds).map_err(|error| DataError::io("make the folder", &holds, &error))?;
        let mine = holds.join(run.as_str());
        fs::write(&mine, []).map_err(|error| DataError::io("write", &mine, &error))?;
        let holders = list(&holds)?;
        Ok(holders.iter().any(|name| name != run.as_str()))
    }

    /// Takes back all that the run holds.
    pub fn release(&self, run: &RunId) -> Result<(), DataError> {
        for name in list(&self.folder)? {
            if version_held(&name).is_some() {
                let hold = self.folder.join(&name).join(run.as_str());
                gone(fs::remove_file(&hold)).map_err(|error| DataError::io("remove", &hold, &error))?;
            } else if let Some(version) = version_of_one(&name, run) {
                Place::new(&self.own(&version, run))?.remove()?;
            }
        }
        Ok(())
    }

    /// What nobody holds, that which was held longest ago first.
    pub fn idle(&self) -> Result<Vec<Idle>, DataError> {
        let mut idle = Vec::new();
        for name in list(&self.folder)? {
            let Some(version) = version_held(&name) else {
                continue;
            };
            let holds = self.folder.join(&name);
            if !list(&holds)?.is_empty() {
                continue;
            }
            let changed = match fs::metadata(&holds).and_then(|metadata| metadata.modified()) {
                // Another run's release removed it since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                changed => changed.map_err(|error| DataError::io("inspect", &holds, &error))?,
            };
            idle.push(Idle {
                bytes: Place::new(&self.shared(&version))?.bytes(),
                version,
                // A clock that was set back has it stay longer.
                age: changed.elapsed().unwrap_or_default(),
            });
        }
        idle.sort_by_key(|one| std::cmp::Reverse(one.age));
        Ok(idle)
    }

    /// Removes a version unless somebody holds it; answers whether it did.
    pub fn remove(&self, version: &VersionId) -> Result<bool, DataError> {
        let holds = self.holds(version);
        if !list(&holds)?.is_empty() {
            return Ok(false);
        }
        Place::new(&self.shared(version))?.remove()?;
        // Last: what is not named by it nobody would find again.
        gone(fs::remove_dir(&holds)).map_err(|error| DataError::io("remove", &holds, &error))?;
        Ok(true)
    }

    /// What the disk has left.
    pub fn free_bytes(&self) -> u64 {
        let disk = statvfs(&self.folder).ok();
        disk.map_or(u64::MAX, |disk| {
            disk.blocks_available().saturating_mul(disk.fragment_size())
        })
    }
}

/// The version to which a folder of holds belongs.
fn version_held(name: &str) -> Option<VersionId> {
    name.strip_prefix('.')?.strip_suffix(HOLDS)?.parse().ok()
}

/// The version that lies there for the run alone: the folder, or what is beside it.
fn version_of_one(name: &str, run: &RunId) -> Option<VersionId> {
    let (version, holder) = name.strip_prefix('.').unwrap_or(name).split_once('@')?;
    let holder = holder.split('.').next()?;
    (holder == run.as_str()).then(|| version.parse().ok())?
}

/// The names in a folder; none if it is not there.
fn list(folder: &Path) -> Result<Vec<String>, DataError> {
    let failed = |error: io::Error| DataError::io("list", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_, _>>().map_err(failed)
}

/// What is gone already is gone.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

//! The key file on its disk: read by its owner only, replaced whole or not at all.
//!
//! The steps are a small port, so that a test can die between any two of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::form::{self, Named};
use crate::KeyError;

/// A file of more is not one of ours.
const MAX_BYTES: u64 = 64 << 10;

/// The steps that replace a file.
pub(super) trait Disk: Send + Sync {
    /// Writes a new file of mode 0600 and syncs it; one that is there from an attempt that died is removed.
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;
    /// Puts one file in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync(&self, folder: &Path) -> io::Result<()>;
}

/// The machine's own.
pub(super) struct LocalDisk;

impl Disk for LocalDisk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

/// The keys of the file; none if there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Arc<Named>>, KeyError> {
    let failed = |error: &io::Error| KeyError::io("read", path, error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.mode() & 0o077 != 0 {
        let (path, mode) = (path.to_path_buf(), metadata.mode() & 0o7777);
        return Err(KeyError::FileOpen { path, mode });
    }
    let size = usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or(0);
    let mut text = Zeroizing::new(String::with_capacity(size + 1));
    (&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| failed(&error))?;
    form::parse(&text).map_err(|(line, problem)| KeyError::FileForm {
        path: path.to_path_buf(),
        line,
        problem,
    })
}

/// Reads the file, has it changed, and replaces it; answers the new keys. `change` answers None for a file
/// that shall stay as it is. One process at a time: a key that another one adds is never overwritten.
pub(super) fn change(
    disk: &dyn Disk,
    path: &Path,
    change: impl FnOnce(&[Arc<Named>]) -> Result<Option<Vec<Arc<Named>>>, KeyError>,
) -> Result<Vec<Arc<Named>>, KeyError> {
    let failed = |error: io::Error| KeyError::io("write", path, &error);
    let folder = folder(path);
    fs::create_dir_all(folder).map_err(failed)?;
    // The folder is what is locked: the file is another one after each change. Unlocked when closed.
    let lock = File::open(folder).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let before = read(path)?;
    let Some(after) = change(&before)? else {
        // An attempt of this process that failed may have left a name that is not durable.
        disk.sync(folder).map_err(failed)?;
        return Ok(before);
    };
    let (text, partial) = (form::text(&after), partial(path));
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(io::Error::other(
            "it would hold too many keys: retire some",
        )));
    }
    disk.write(&partial, &text)
        .and_then(|()| disk.rename(&partial, path))
        .and_then(|()| disk.sync(folder))
        .map_err(failed)?;
    Ok(after)
}

/// Where the file is.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Where the next file is written; it may hold a key that nothing was wrapped by yet.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

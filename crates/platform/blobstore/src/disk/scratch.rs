//! Scratch files of puts under way, in a folder per process that its lock tells alive from dead.
//!
//! A process that was killed cannot clean up, so the next one to start does; the lock keeps it from
//! sweeping away what another living process (a test, an administrator's command) is still writing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::io_at;
use crate::BlobError;

/// This store's folder of scratch files; removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    next: AtomicU64,
    /// Held, never read.
    _alive: File,
}

/// A scratch file; removed when dropped, unless it was renamed away before.
#[derive(Debug)]
pub(super) struct ScratchFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Scratch {
    pub(super) fn open(parent: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(parent).map_err(|error| io_at("make the folder", parent, &error))?;
        sweep(parent)?;
        let (folder, alive) = own_folder(parent)?;
        Ok(Self {
            folder,
            next: AtomicU64::new(0),
            _alive: alive,
        })
    }

    /// A new empty file that nobody else knows.
    pub(super) fn file(&self) -> Result<ScratchFile, BlobError> {
        let path = self
            .folder
            .join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| io_at("write", &path, &error))?;
        Ok(ScratchFile { file, path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If this fails, the next start sweeps it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the first free of `<pid>-0`, `<pid>-1`, … ours.
fn own_folder(parent: &Path) -> Result<(PathBuf, File), BlobError> {
    let pid = std::process::id();
    let mut number = 0_u64;
    loop {
        let folder = parent.join(format!("{pid}-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => {
                if let Some(alive) = lock_new(&folder)? {
                    return Ok((folder, alive));
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_at("make the folder", &folder, &error)),
        }
        number += 1;
    }
}

/// Locks a folder just made; None if another process swept it before the lock was held.
fn lock_new(folder: &Path) -> Result<Option<File>, BlobError> {
    let path = folder.join("lock");
    let alive = match File::create(&path) {
        Ok(alive) => alive,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_at("write", &path, &error)),
    };
    alive.lock().map_err(|error| io_at("lock", &path, &error))?;
    Ok(path.exists().then_some(alive))
}

/// Removes the folders of processes that are gone.
fn sweep(parent: &Path) -> Result<(), BlobError> {
    let entries = fs::read_dir(parent).map_err(|error| io_at("list", parent, &error))?;
    for entry in entries.flatten() {
        let folder = entry.path();
        let dead = match File::open(folder.join("lock")) {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(io_at("lock", &folder, &error)),
            },
            // Killed between making the folder and its lock, or being made right now: then it is empty.
            Err(_) => fs::remove_dir(&folder).is_ok(),
        };
        if dead && folder.exists() {
            match fs::remove_dir_all(&folder) {
                // Two starters may sweep the same folder.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_at("remove", &folder, &error));
                }
                _ => {}
            }
            tracing::info!(folder = %folder.display(), "removed what an interrupted process left");
        }
    }
    Ok(())
}

//! The home folder: made private, and owned by one server at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::error::ServerError;

const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// A home folder that this process owns until it ends, however it ends.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
    lock: Flock<File>,
}

impl Home {
    /// Makes the folders where they are missing and takes the lock.
    pub fn open(root: &Path) -> Result<Self, ServerError> {
        let unusable = |error: std::io::Error| ServerError::Home {
            path: root.to_path_buf(),
            source: error,
        };
        for folder in ["", "run", "logs", "blobs", "work"] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root.join(folder))
                .map_err(unusable)?;
        }
        // A home made by hand may be readable by others; what is inside is not for them.
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700)).map_err(unusable)?;
        let path = root.join("run").join("server.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        let mut lock = take(file).ok_or_else(|| ServerError::HomeInUse {
            path: root.to_path_buf(),
            pid: read_pid(&path),
        })?;
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(unusable)?;
        Ok(Self {
            root: root.to_path_buf(),
            lock,
        })
    }

    /// Says in the lock file that requests are answered at this address: the file then holds our process
    /// id on its first line and the address on its second.
    pub fn announce(&self, url: &str) -> Result<(), ServerError> {
        (&*self.lock)
            .write_all(format!("{url}\n").as_bytes())
            .map_err(|error| ServerError::Home {
                path: self.root.clone(),
                source: error,
            })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// SQLite's file.
    pub fn database(&self) -> PathBuf {
        self.root.join("meta.db")
    }

    /// Content-addressed bytes.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Work folders of runs and replicas.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Locks, sockets, task state.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }
}

/// The lock, unless somebody keeps it. Who only asks whether a server runs holds it for microseconds.
fn take(mut file: File) -> Option<Flock<File>> {
    for _ in 0..LOCK_ATTEMPTS {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((returned, _)) => file = returned,
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    None
}

fn read_pid(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.lines().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::open(folder.path()).unwrap();
        first.announce("http://127.0.0.1:1").unwrap();
        let second = Home::open(folder.path()).unwrap_err();
        assert!(matches!(second, ServerError::HomeInUse { pid: Some(pid), .. } if pid == std::process::id()));
        drop(first);
        assert!(Home::open(folder.path()).is_ok());
    }
}

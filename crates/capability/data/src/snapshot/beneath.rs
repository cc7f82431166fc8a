//! Opening files of a folder through its handle, one part of the path at a time and never through a link:
//! whatever is put in the way meanwhile, nothing outside the folder is read.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::DataError;

/// A folder held open.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    handle: OwnedFd,
}

impl Root {
    /// Opens a folder; its own path may lead through links.
    pub(crate) fn hold(path: &Path) -> Result<Self, DataError> {
        let real = path
            .canonicalize()
            .map_err(|error| DataError::io("open the folder", path, &error))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match open(&real, flags, Mode::empty()) {
            Ok(handle) => Ok(Self { path: real, handle }),
            Err(Errno::ENOTDIR) => Err(DataError::NotAFolder {
                path: path.display().to_string(),
            }),
            Err(error) => Err(DataError::io("open the folder", path, &error.into())),
        }
    }

    /// Without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file below the root for reading.
    pub(crate) fn open(&self, relative: &Path) -> Result<File, DataError> {
        let failed = |error: Errno| match error {
            // It was a file or folder when the folder was listed.
            Errno::ELOOP | Errno::ENOTDIR | Errno::ENOENT => DataError::Changed {
                path: relative.display().to_string(),
                attempts: 1,
            },
            error => DataError::io("read", relative, &error.into()),
        };
        let common = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut parts = relative.components().peekable();
        let mut folder: Option<OwnedFd> = None;
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else {
                return Err(failed(Errno::ELOOP));
            };
            // Non-blocking, or a pipe put in a file's place would hold us for ever.
            let last = parts.peek().is_none();
            let flags = common
                | if last {
                    OFlag::O_NONBLOCK
                } else {
                    OFlag::O_DIRECTORY
                };
            let within = folder.as_ref().unwrap_or(&self.handle);
            let opened = openat(within, name, flags, Mode::empty()).map_err(failed)?;
            if last {
                return Self::regular(File::from(opened), relative);
            }
            folder = Some(opened);
        }
        Err(failed(Errno::ENOENT))
    }

    fn regular(file: File, relative: &Path) -> Result<File, DataError> {
        let metadata = file
            .metadata()
            .map_err(|error| DataError::io("read", relative, &error))?;
        if metadata.is_file() {
            return Ok(file);
        }
        Err(DataError::Changed {
            path: relative.display().to_string(),
            attempts: 1,
        })
    }
}

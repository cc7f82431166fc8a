//! Opening and making files of a folder through its handle, and never through a link: whatever is put in the way
//! meanwhile, nothing outside the folder is read or written.

use std::fs::{File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;

use crate::DataError;

/// A folder held open.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    beneath: Beneath,
}

impl Root {
    /// Opens a folder; its own path may lead through links.
    pub(crate) fn hold(path: &Path) -> Result<Self, DataError> {
        let real = path
            .canonicalize()
            .map_err(|error| DataError::io("open the folder", path, &error))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match open(&real, flags, Mode::empty()) {
            Ok(handle) => Ok(Self {
                path: real,
                beneath: Beneath(Arc::new(handle)),
            }),
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
        self.beneath.open(relative)
    }
}

/// A folder by its handle alone; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Beneath(pub(crate) Arc<OwnedFd>);

impl Beneath {
    /// Opens a file for reading.
    pub(crate) fn open(&self, relative: &Path) -> Result<File, DataError> {
        let failed = |error: Errno| match error {
            // It was a file or folder when the folder was listed.
            Errno::ELOOP | Errno::ENOTDIR | Errno::ENOENT => DataError::Changed {
                path: relative.display().to_string(),
                attempts: 1,
            },
            error => DataError::io("read", relative, &error.into()),
        };
        // Non-blocking, or a pipe put in a file's place would hold us for ever.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let opened = self.resolve(relative, flags, Mode::empty()).map_err(failed)?;
        Self::regular(File::from(opened), relative)
    }

    /// Makes a new file of this mode, whatever the umask, in a folder that exists.
    pub(crate) fn create(&self, relative: &Path, mode: u32) -> std::io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let made = self.resolve(relative, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let file = File::from(made);
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    }

    fn resolve(&self, relative: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let how = OpenHow::new()
            .flags(flags)
            .mode(mode)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        match openat2(&*self.0, relative, how) {
            // Kernels before 5.6, and sandboxes that know no newer one.
            Err(Errno::ENOSYS | Errno::EPERM) => self.resolve_by_parts(relative, flags, mode),
            opened => opened,
        }
    }

    /// One part of the path at a time.
    fn resolve_by_parts(&self, relative: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let mut parts = relative.components().peekable();
        let mut folder: Option<OwnedFd> = None;
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else {
                return Err(Errno::ELOOP);
            };
            let within = folder.as_ref().unwrap_or(&self.0);
            if parts.peek().is_none() {
                return openat(within, name, flags, mode);
            }
            let common = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            folder = Some(openat(within, name, common, Mode::empty())?);
        }
        Err(Errno::ENOENT)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_ways_of_resolving_refuse_what_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "within").unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        symlink(folder.path(), root.join("up")).unwrap();
        symlink("a/b/file", root.join("link")).unwrap();
        let held = Root::hold(&root).unwrap();
        let read = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let by_parts = |path: &str| {
            held.beneath
                .resolve_by_parts(Path::new(path), read, Mode::empty())
        };
        for path in ["a/b/file", "a/./b/file"] {
            assert!(held.open(Path::new(path)).is_ok(), "{path}");
            assert!(by_parts(path).is_ok(), "{path}");
        }
        let absolute = folder.path().join("secret").display().to_string();
        for path in ["up/secret", "link", "../secret", "a/../../secret", "", &absolute] {
            assert!(held.open(Path::new(path)).is_err(), "{path}");
            assert!(by_parts(path).is_err(), "{path}");
            assert!(held.beneath.create(Path::new(path), 0o644).is_err(), "{path}");
        }
        assert!(held.open(Path::new("a/b")).is_err(), "a folder");
        assert!(held.open(Path::new("a/none")).is_err(), "nothing");
        let made = held.beneath.create(Path::new("a/new"), 0o755).unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        assert!(
            held.beneath.create(Path::new("a/new"), 0o755).is_err(),
            "it is there"
        );
        assert_eq!(fs::read(folder.path().join("secret")).unwrap(), b"secret");
    }
}

//! Listing a folder in order, and refusing by name what cannot be part of a version.

use std::fs::{FileType, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::ignore::Ignore;
use super::{Found, Options, Root, Stamp};
use crate::{DataError, EntryPath};

struct Walk<'a> {
    root: &'a Root,
    options: &'a Options,
    ignore: Ignore,
    found: Vec<Found>,
}

pub(super) fn walk(root: &Root, options: &Options) -> Result<Vec<Found>, DataError> {
    let ignore = Ignore::read(root.path(), options.kind)?;
    let mut walk = Walk {
        root,
        options,
        ignore,
        found: Vec::new(),
    };
    // A list of folders still to visit, not recursion: depth is bounded by the path's length only.
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        folders.extend(walk.folder(&folder)?);
    }
    walk.found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(walk.found)
}

impl Walk<'_> {
    /// Takes the files of one folder; answers the folders in it.
    fn folder(&mut self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        let absolute = self.root.path().join(folder);
        let listed = std::fs::read_dir(&absolute).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = listed.map_err(|error| DataError::io("list", &absolute, &error))?;
        let mut folders = Vec::new();
        for entry in entries {
            let relative = folder.join(entry.file_name());
            if self.options.exclude.contains(&relative) {
                continue;
            }
            let Some(text) = relative.to_str() else {
                let path = relative.display().to_string();
                return Err(DataError::InvalidPath {
                    path,
                    problem: "is not valid UTF-8; rename it",
                });
            };
            // By the handle of the folder that is being listed, and not through links.
            let looked = entry.metadata();
            let metadata = match looked {
                Ok(metadata) => metadata,
                // Removed since it was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(DataError::io("look at", &relative, &error)),
            };
            if self.ignore.leaves_out(text, metadata.is_dir()) {
                continue;
            }
            if metadata.is_dir() {
                folders.push(relative);
            } else {
                let path: EntryPath = text.parse()?;
                self.take(path, &relative, &metadata)?;
            }
        }
        Ok(folders)
    }

    fn take(&mut self, path: EntryPath, relative: &Path, metadata: &Metadata) -> Result<(), DataError> {
        let kind = metadata.file_type();
        let (source, stamp) = if kind.is_symlink() {
            let (target, stamp) = self.follow(relative)?;
            (Some(target.into_boxed_path()), stamp)
        } else if kind.is_file() {
            (None, Stamp::of(metadata))
        } else {
            return Err(DataError::SpecialFile {
                path: path.to_string(),
                kind: special(kind),
            });
        };
        if self.found.len() == self.options.max_files {
            return Err(DataError::TooManyFiles {
                limit: self.options.max_files,
            });
        }
        self.found.push(Found { path, source, stamp });
        Ok(())
    }

    /// The file that a link leads to, relative to the root, and what it looks like.
    fn follow(&self, link: &Path) -> Result<(PathBuf, Stamp), DataError> {
        let path = link.display().to_string();
        let Ok(target) = self.root.path().join(link).canonicalize() else {
            return Err(DataError::LinkBroken { path });
        };
        let Ok(inside) = target.strip_prefix(self.root.path()) else {
            return Err(DataError::LinkOutside { path });
        };
        let metadata =
            std::fs::symlink_metadata(&target).map_err(|error| DataError::io("look at", link, &error))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Err(DataError::LinkToFolder { path });
        }
        if !kind.is_file() {
            return Err(DataError::SpecialFile {
                path,
                kind: special(kind),
            });
        }
        Ok((inside.to_path_buf(), Stamp::of(&metadata)))
    }
}

fn special(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

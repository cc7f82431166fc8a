//! What lies in a working copy where another version has files, and is part of neither: links, folders, and what
//! `.corlissignore` leaves out. It is found before anything is touched, so that a switch is done whole or not at all.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::data::changes::LocalChange;
use crate::error::{CliError, CliResult};

/// Refuses what would be lost, unless that is meant; and always what leads out of the folder or cannot be replaced.
pub(super) fn check(folder: &Path, differing: &[LocalChange], discard: bool) -> CliResult {
    let known = |change: &&LocalChange| change.here.is_some();
    let known: HashSet<&Path> = differing
        .iter()
        .filter(known)
        .map(|change| Path::new(change.path.as_str()))
        .collect();
    let mut looked_at = HashSet::new();
    for change in differing {
        let path = Path::new(change.path.as_str());
        let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents {
            if looked_at.insert(parent) {
                check_parent(folder, parent, &known)?;
            }
        }
        if change.theirs.is_some() && change.here.is_none() {
            check_place(folder, path, &known, discard)?;
        }
    }
    Ok(())
}

/// A folder in which something is to change.
fn check_parent(folder: &Path, parent: &Path, known: &HashSet<&Path>) -> CliResult {
    let path = folder.join(parent);
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(());
    };
    if metadata.is_dir() {
        return match access(&path, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) => Ok(()),
            Err(_) => Err(in_the_way(&path, "is a folder that may not be written to")
                .hint("nothing was changed; let it be written to, and try again")),
        };
    }
    // A file that goes.
    if known.contains(parent) {
        return Ok(());
    }
    let what = match metadata.is_symlink() {
        true => "is a link, through which nothing is written",
        false => "is no folder, and the version has one there",
    };
    Err(in_the_way(&path, what).hint("nothing was changed; move it away, and try again"))
}

/// Where a new file is to be.
fn check_place(folder: &Path, relative: &Path, known: &HashSet<&Path>, discard: bool) -> CliResult {
    let path = folder.join(relative);
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(());
    };
    if metadata.is_dir() {
        return match unknown_below(&path, relative, known) {
            None => Ok(()),
            // An empty folder is no part of any version.
            Some(left) if left == path => Ok(()),
            Some(_) => Err(in_the_way(&path, "is a folder, and the version has a file there")
                .hint("nothing was changed; move it away, and try again")),
        };
    }
    if discard {
        return Ok(());
    }
    Err(
        in_the_way(&path, "is part of no version, and would be overwritten")
            .hint("nothing was changed; move it away, or pass --discard to lose it"),
    )
}

/// What of a folder stays when the known files have gone: the folder itself if there is nothing in it.
fn unknown_below(path: &Path, relative: &Path, known: &HashSet<&Path>) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(path).ok()?.flatten().collect();
    if entries.is_empty() {
        return Some(path.to_path_buf());
    }
    entries.into_iter().find_map(|entry| {
        let below = relative.join::<&OsStr>(entry.file_name().as_ref());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => unknown_below(&entry.path(), &below, known),
            _ if known.contains(below.as_path()) => None,
            _ => Some(entry.path()),
        }
    })
}

fn in_the_way(path: &Path, what: &str) -> CliError {
    CliError::input(format!("{} {what}", path.display()))
}

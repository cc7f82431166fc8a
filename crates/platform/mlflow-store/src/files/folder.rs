//! Folders whose entries are data. Links are not followed, so that nothing outside the store is read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::SourceError;
use crate::model::Pair;

/// Bytes of a file that holds one parameter or tag, or describes a thing.
const TEXT_BYTES: u64 = 64 * 1024 * 1024;
/// Folders within folders that a name may make.
const DEPTH: usize = 64;

/// The folders in a folder, by name.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, SourceError> {
    let entries = fs::read_dir(folder).map_err(|error| SourceError::read(folder, error))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| SourceError::read(folder, error))?;
        let kind = entry
            .file_type()
            .map_err(|error| SourceError::read(&entry.path(), error))?;
        if kind.is_dir() {
            found.push((name_of(&entry)?, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Every file under a folder, by its path within it, which is the name of a metric, parameter or tag; none if there is no
/// such folder.
pub(super) fn files_under(root: &Path) -> Result<Vec<(String, PathBuf)>, SourceError> {
    let mut found = Vec::new();
    if root.is_dir() {
        collect(root, "", 0, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<(String, PathBuf)>,
) -> Result<(), SourceError> {
    if depth > DEPTH {
        return Err(SourceError::damaged(folder, "folders lie too deep in each other"));
    }
    let entries = fs::read_dir(folder).map_err(|error| SourceError::read(folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| SourceError::read(folder, error))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .map_err(|error| SourceError::read(&path, error))?;
        let key = format!("{prefix}{}", name_of(&entry)?);
        if kind.is_dir() {
            collect(&path, &format!("{key}/"), depth + 1, found)?;
        } else if kind.is_file() {
            found.push((key, path));
        }
    }
    Ok(())
}

fn name_of(entry: &fs::DirEntry) -> Result<String, SourceError> {
    entry
        .file_name()
        .into_string()
        .map_err(|_| SourceError::damaged(&entry.path(), "its name is no text"))
}

/// The text of a file of bounded size.
pub(super) fn read_text(path: &Path) -> Result<String, SourceError> {
    let size = fs::metadata(path)
        .map_err(|error| SourceError::read(path, error))?
        .len();
    if size > TEXT_BYTES {
        return Err(SourceError::damaged(
            path,
            format!("it has {size} bytes, of which a parameter, tag or description has at most {TEXT_BYTES}"),
        ));
    }
    let bytes = fs::read(path).map_err(|error| SourceError::read(path, error))?;
    String::from_utf8(bytes).map_err(|_| SourceError::damaged(path, "it is not text in UTF-8"))
}

/// Parameters or tags: a file each.
pub(super) fn pairs(folder: &Path) -> Result<Vec<Pair>, SourceError> {
    let files = files_under(folder)?.into_iter();
    files
        .map(|(key, path)| Ok(Pair::new(key, read_text(&path)?)))
        .collect()
}

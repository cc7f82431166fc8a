//! Recording one published entry: force it to disk, digest it, write its manifest.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::manifest::{FileRecord, Identity, Manifest};
use super::{UNPUBLISHED, io};
use crate::JobsError;

/// More files than any checkpoint has; a folder with more is not walked to its end.
const FILES_MAX: usize = 100_000;

/// Names of published entries, the ones published first first.
pub(super) fn published(dir: &Path) -> Result<Vec<String>, JobsError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("read", dir))? {
        let entry = entry.map_err(io("read", dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let Ok(kind) = entry.metadata() else { continue };
        // A link may point anywhere, and a `latest` link is not one more checkpoint.
        if name.starts_with('.') || name.ends_with(UNPUBLISHED) || kind.is_symlink() {
            continue;
        }
        found.push((kind.modified().ok(), name));
    }
    // By age, then by name in the order of its numbers: step-9 before step-10.
    found.sort_by_cached_key(|(modified, name)| (*modified, name.len(), name.clone()));
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// Records an entry; `None` if it vanished or changed meanwhile, which the next look will see.
pub(super) fn record_entry(dir: &Path, name: &str, sequence: u64) -> Result<Option<Manifest>, JobsError> {
    let entry = dir.join(name);
    let Ok(identity) = Identity::of(&entry) else {
        return Ok(None);
    };
    let mut paths = Vec::new();
    if collect(&entry, &entry, &mut paths).is_err() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for (relative, path) in paths {
        let Ok(record) = record_file(relative, &path) else {
            return Ok(None);
        };
        files.push(record);
    }
    if files.is_empty() {
        return Ok(None);
    }
    let _ = File::open(dir).and_then(|folder| folder.sync_all());
    let manifest = Manifest::new(sequence, name, identity, files);
    if !manifest.is_current(dir) {
        return Ok(None);
    }
    manifest.save(dir)?;
    Ok(Some(manifest))
}

/// All regular files, in a fixed order.
fn collect(root: &Path, path: &Path, found: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    let kind = std::fs::symlink_metadata(path)?.file_type();
    if kind.is_file() {
        let relative = path.strip_prefix(root).unwrap_or(Path::new(""));
        let relative = relative.to_str().ok_or(std::io::ErrorKind::InvalidData)?;
        found.push((relative.to_owned(), path.to_owned()));
    } else if kind.is_dir() {
        let mut names: Vec<PathBuf> = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            collect(root, &name, found)?;
        }
        File::open(path)?.sync_all()?;
    }
    if found.len() > FILES_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(())
}

fn record_file(path: String, file: &Path) -> std::io::Result<FileRecord> {
    File::open(file)?.sync_all()?;
    let (size_bytes, blake3) = digest(file)?;
    Ok(FileRecord {
        path,
        size_bytes,
        blake3,
    })
}

/// Size and digest of a file's bytes.
pub(super) fn digest(file: &Path) -> std::io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let size = std::io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok((size, hasher.finalize().to_hex().to_string()))
}

/// Deletes an old checkpoint: its bytes first, so that a crash in between leaves a manifest of nothing,
/// which counts as nothing.
pub(super) fn delete_entry(dir: &Path, old: &Manifest) -> Result<(), JobsError> {
    delete_path(&old.entry(dir))?;
    super::manifest::delete(dir, &old.name)
}

/// Deletes a file or a folder; one that is gone is no matter.
pub(super) fn delete_path(path: &Path) -> Result<(), JobsError> {
    let deleted = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match deleted {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("delete", path)(error)),
        _ => Ok(()),
    }
}

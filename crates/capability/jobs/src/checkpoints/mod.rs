//! Checkpoints: what a program has published, which of it is complete, what is kept.
//!
//! A program writes `NAME.tmp` (a file or a folder) and renames it to `NAME`: the rename publishes. Recording
//! makes it safe: the bytes are forced to disk, their digests go into a manifest under `.corliss/`, written
//! by rename. A restarted attempt gets the newest entry whose bytes still match its manifest, so neither a
//! torn write nor a damaged file is resumed from.

mod manifest;
mod record;

use std::path::{Path, PathBuf};

use corliss_types::Timestamp;

use crate::JobsError;
use manifest::Manifest;

/// The folder beside the entries that holds the manifests.
const HIDDEN: &str = ".corliss";
/// Endings of names that are not published.
const UNPUBLISHED: &str = ".tmp";

/// What one look did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Entries that are complete now, oldest first.
    pub complete: Vec<String>,
    /// Entries deleted because newer ones are kept.
    pub deleted: Vec<String>,
}

/// Records what was published since the last look and keeps the newest `keep` complete entries. Reads new
/// entries in full.
///
/// # Errors
/// The folder cannot be read or written. A folder that does not exist holds no checkpoints.
pub fn record(dir: &Path, keep: u32) -> Result<Recorded, JobsError> {
    if !dir.is_dir() {
        return Ok(Recorded::default());
    }
    let mut manifests = manifest::load_all(dir)?;
    let mut next = manifests.iter().map(|found| found.sequence).max().unwrap_or(0) + 1;
    for name in record::published(dir)? {
        let known = manifests.iter().position(|found| found.name == name);
        if known.is_some_and(|index| manifests[index].is_current(dir)) {
            continue;
        }
        // New, or published again under the same name.
        if let Some(made) = record::record_entry(dir, &name, next)? {
            next += 1;
            if let Some(index) = known {
                manifests.remove(index);
            }
            manifests.push(made);
        }
    }
    manifests.retain(|found| found.entry(dir).exists() || manifest::delete(dir, &found.name).is_err());
    manifests.sort_by_key(|found| found.sequence);
    let surplus = manifests.len().saturating_sub(keep.max(1) as usize);
    let mut deleted = Vec::new();
    for old in manifests.drain(..surplus) {
        record::delete_entry(dir, &old)?;
        deleted.push(old.name);
    }
    Ok(Recorded {
        complete: manifests.into_iter().map(|found| found.name).collect(),
        deleted,
    })
}

/// The newest complete checkpoint whose bytes match what was recorded; records first. Reads it in full.
///
/// # Errors
/// The folder cannot be read or written.
pub fn latest_complete(dir: &Path, keep: u32) -> Result<Option<PathBuf>, JobsError> {
    record(dir, keep)?;
    let mut manifests = manifest::load_all(dir).unwrap_or_default();
    manifests.sort_by_key(|found| std::cmp::Reverse(found.sequence));
    let sound = manifests.iter().find(|found| {
        let sound = found.verify(dir);
        if !sound {
            tracing::warn!(checkpoint = %found.entry(dir).display(), "a checkpoint is damaged and is passed over");
        }
        sound
    });
    Ok(sound.map(|found: &Manifest| found.entry(dir)))
}

/// When the newest complete checkpoint was begun; records first. None where the file system does not tell.
///
/// # Errors
/// The folder cannot be read or written.
pub fn saved(dir: &Path, keep: u32) -> Result<Option<Timestamp>, JobsError> {
    record(dir, keep)?;
    let manifests = manifest::load_all(dir)?;
    let newest = manifests.iter().max_by_key(|found| found.sequence);
    Ok(newest.and_then(|found| found.identity.born()))
}

/// Deletes what an attempt that has ended left unpublished. Only call it while no task of the step runs.
///
/// # Errors
/// The folder cannot be read or written.
pub fn clear_unpublished(dir: &Path) -> Result<(), JobsError> {
    if !dir.is_dir() {
        return std::fs::create_dir_all(dir).map_err(io("make the folder", dir));
    }
    for entry in std::fs::read_dir(dir).map_err(io("read", dir))? {
        let entry = entry.map_err(io("read", dir))?;
        if entry.file_name().to_string_lossy().ends_with(UNPUBLISHED) {
            record::delete_path(&entry.path())?;
        }
    }
    Ok(())
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> JobsError + 'a {
    move |source| JobsError::Checkpoint {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

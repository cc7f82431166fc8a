//! What the files of a laid-out folder look like, as text that is compared whole.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use corliss_types::VersionId;

use crate::DataError;

const FIRST_LINE_MAX: u64 = 4096;

/// The boot, the version and the bytes of its files; then one line per file and folder: kind and mode, size, inode, both
/// times, path.
pub(super) fn collect(folder: &Path, version: &VersionId) -> Result<String, DataError> {
    let all = walk(folder)?;
    let files = all.iter().filter(|(_, metadata)| !metadata.is_dir());
    let bytes: u64 = files.map(|(_, metadata)| metadata.size()).sum();
    let mut text = format!("corliss-stamps 2 {} {version} {bytes}\n", boot());
    for (path, metadata) in all {
        let path = path.display();
        // Writing to a String cannot fail.
        let _ = if metadata.is_dir() {
            // A folder's times change when it is renamed into place.
            writeln!(text, "{:o} {path}", metadata.mode())
        } else {
            writeln!(
                text,
                "{:o} {} {} {}.{} {}.{} {path}",
                metadata.mode(),
                metadata.size(),
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            )
        };
    }
    Ok(text)
}

/// The bytes of the files that stamps are of.
pub(super) fn bytes(stamps: &Path) -> Option<u64> {
    let mut first = String::new();
    BufReader::new(File::open(stamps).ok()?)
        .take(FIRST_LINE_MAX)
        .read_line(&mut first)
        .ok()?;
    first.split_whitespace().nth(4)?.parse().ok()
}

/// The paths of everything in the folder that is not a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<String>, DataError> {
    let all = walk(folder)?.into_iter();
    Ok(all
        .filter(|(_, metadata)| !metadata.is_dir())
        .map(|(path, _)| path.display().to_string())
        .collect())
}

/// The paths of the folders in a folder.
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let all = walk(folder)?.into_iter();
    Ok(all
        .filter(|(_, metadata)| metadata.is_dir())
        .map(|(path, _)| path)
        .collect())
}

/// Everything below a folder, sorted, links not followed.
fn walk(folder: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, DataError> {
    let mut all = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let absolute = folder.join(&relative);
        let failed = |error: std::io::Error| DataError::io("list", &absolute, &error);
        for entry in fs::read_dir(&absolute).map_err(failed)? {
            let path = relative.join(entry.map_err(failed)?.file_name());
            let metadata = fs::symlink_metadata(folder.join(&path)).map_err(failed)?;
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            all.push((path, metadata));
        }
    }
    all.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(all)
}

/// Differs after every boot of the machine.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

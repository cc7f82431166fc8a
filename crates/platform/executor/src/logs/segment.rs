//! The files that the log is cut into, and the seam where a test puts a full disk.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "output.v1.";
const SUFFIX: &str = ".log";

/// A segment open for appending.
pub(super) trait SegmentFile {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// Cuts a half-written tail off.
    fn cut(&mut self, len: u64) -> std::io::Result<()>;
}

impl SegmentFile for File {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_all(bytes)
    }
    fn cut(&mut self, len: u64) -> std::io::Result<()> {
        self.set_len(len)
    }
}

/// Makes and deletes segments.
pub(super) trait Segments {
    fn create(&mut self, offset: u64) -> std::io::Result<Box<dyn SegmentFile + Send>>;
    fn delete(&mut self, offset: u64) -> std::io::Result<()>;
}

/// Segments in a task's directory.
pub(super) struct Directory(pub PathBuf);

impl Segments for Directory {
    fn create(&mut self, offset: u64) -> std::io::Result<Box<dyn SegmentFile + Send>> {
        let mut options = std::fs::OpenOptions::new();
        options.mode(0o600).append(true).create(true);
        Ok(Box::new(options.open(path(&self.0, offset))?))
    }
    fn delete(&mut self, offset: u64) -> std::io::Result<()> {
        std::fs::remove_file(path(&self.0, offset))
    }
}

pub(super) fn path(dir: &Path, offset: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{offset:020}{SUFFIX}"))
}

/// The offsets of the segments there are, oldest first.
pub(super) fn list(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut offsets = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(offsets),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(digits) = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_suffix(SUFFIX))
            && let Ok(offset) = digits.parse()
        {
            offsets.push(offset);
        }
    }
    offsets.sort_unstable();
    Ok(offsets)
}

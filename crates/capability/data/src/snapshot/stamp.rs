//! What tells that a file is still the one that was looked at, as far as its metadata can.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Clocks of file systems tick coarsely, and a file may be written twice within a tick.
pub(super) const MARGIN: Duration = Duration::from_secs(1);

/// Size, times, place and mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub size_bytes: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    /// Cannot be set back by hand.
    pub changed_ns: i64,
    pub inode: u64,
    pub mode: u32,
}

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            size_bytes: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }

    pub const fn executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Whether a file that looks so later was not written since: if it changed just before `now`, it may have
    /// changed once more without looking different.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let latest = u64::try_from(self.modified_ns.max(self.changed_ns)).unwrap_or(0);
        let latest = SystemTime::UNIX_EPOCH + Duration::from_nanos(latest) + MARGIN;
        latest < now
    }
}

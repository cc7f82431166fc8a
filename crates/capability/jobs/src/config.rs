//! Where jobs keep their files, and their limits.

use std::path::PathBuf;

/// Settings of the jobs room.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// Folder with one folder per task: its record and its log.
    pub tasks_dir: PathBuf,
    /// Most jobs that may wait at once.
    pub queue_limit: u64,
    /// How long the start of an admitted job may keep failing before the job does, in milliseconds.
    pub start_patience_ms: u64,
}

impl JobsConfig {
    /// The usual limits over this folder.
    #[must_use]
    pub fn under(tasks_dir: PathBuf) -> Self {
        Self {
            tasks_dir,
            queue_limit: 100_000,
            start_patience_ms: 60_000,
        }
    }
}

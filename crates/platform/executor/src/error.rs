//! What can go wrong when a task is started, observed or stopped.

use std::path::{Path, PathBuf};

use corliss_diagnostics::{Diagnose, Meaning};

/// Errors of the executor. What happens to a task *after* its start is never an error but a
/// [`crate::TaskExit`].
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The specification cannot be run as given.
    #[error("the task specification is not valid: {reason}")]
    InvalidSpec {
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the task directory could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as in "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the task directory is not what this version writes.
    #[error("{} does not hold a task record that this version reads: {reason}", path.display())]
    BadRecord {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The shim did not start the task and said why.
    #[error("the shim did not start the task: {reason}")]
    ShimRefused {
        /// The shim's own sentence.
        reason: String,
    },
    /// The shim did not answer in time; the task may or may not run.
    #[error("the shim did not answer within {waited_ms} ms")]
    ShimSilent {
        /// How long it was given.
        waited_ms: u64,
    },
    /// No task was ever prepared in this directory.
    #[error("there is no task in {}", path.display())]
    NotFound {
        /// The directory.
        path: PathBuf,
    },
    /// A blocking helper was cut off because the process is stopping.
    #[error("the operation was interrupted because the server is stopping")]
    Interrupted,
}

impl ExecutorError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl Diagnose for ExecutorError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidSpec { .. } => "task_spec_invalid",
            Self::Io { .. } => "task_io_failed",
            Self::BadRecord { .. } => "task_record_unreadable",
            Self::ShimRefused { .. } => "shim_refused",
            Self::ShimSilent { .. } => "shim_silent",
            Self::NotFound { .. } => "task_not_found",
            Self::Interrupted => "executor_stopping",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::InvalidSpec { .. } => Meaning::InvalidInput,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Meaning::StorageFull
            }
            Self::Io { .. } | Self::BadRecord { .. } | Self::ShimRefused { .. } => Meaning::Internal,
            Self::ShimSilent { .. } | Self::Interrupted => Meaning::Unavailable,
            Self::NotFound { .. } => Meaning::NotFound,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free space on the disk that holds the Corliss home".to_owned())
            }
            Self::BadRecord { .. } => {
                Some("a newer Corliss may have written it: start that version again".to_owned())
            }
            _ => None,
        }
    }
}

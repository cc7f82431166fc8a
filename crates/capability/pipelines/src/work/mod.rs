//! Work folders of runs:
//!
//! ```text
//! <work>/<run>/.code/                        the code snapshot, laid out once, read-only
//! <work>/<run>/.*                            what the data room keeps beside it
//! <work>/<run>/<step>/checkpoints/           shared by the step's attempts
//! <work>/<run>/<step>/attempt-<n>/code/      the attempt's own copy of the code; its workers start here
//! <work>/<run>/<step>/attempt-<n>/outputs/<name>/
//! ```
//!
//! What steps read is laid out by the data room, for all runs together. Names of steps and outputs start with a letter or
//! digit, so the dotted folders clash with none.
//! Nothing here must survive a power cut: what matters is in the metadata and the blob store, and an
//! attempt whose folders are lost is lost with its processes.

mod outputs;
mod remove;
mod shared;

use std::path::{Path, PathBuf};

use corliss_types::{AttemptNumber, RunId};

pub(crate) use outputs::check_output;
pub(crate) use remove::{Keep, trim};
pub(crate) use shared::SharedFolders;

use crate::error::PipelinesError;

/// Folders of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptFolders {
    pub(crate) code: PathBuf,
    pub(crate) outputs: PathBuf,
}

pub(crate) fn run_folder(work: &Path, run: &RunId) -> PathBuf {
    work.join(run.as_str())
}

pub(crate) fn attempt_folders(
    work: &Path,
    run: &RunId,
    step: &str,
    attempt: AttemptNumber,
) -> AttemptFolders {
    let folder = run_folder(work, run)
        .join(step)
        .join(format!("attempt-{attempt}"));
    AttemptFolders {
        code: folder.join("code"),
        outputs: folder.join("outputs"),
    }
}

pub(crate) fn checkpoint_folder(work: &Path, run: &RunId, step: &str) -> PathBuf {
    run_folder(work, run).join(step).join("checkpoints")
}

/// Makes an attempt's folders afresh: whatever an attempt that was never submitted left there goes.
pub(crate) fn make_attempt(
    folders: &AttemptFolders,
    code: &Path,
    outputs: &[String],
    checkpoints: Option<&Path>,
) -> Result<(), PipelinesError> {
    if let Some(attempt) = folders.code.parent() {
        remove::remove_tree(attempt)?;
    }
    create(&folders.code)?;
    shared::copy_tree(code, &folders.code)?;
    create(&folders.outputs)?;
    for name in outputs {
        create(&folders.outputs.join(name))?;
    }
    checkpoints.map_or(Ok(()), create)
}

pub(crate) fn create(folder: &Path) -> Result<(), PipelinesError> {
    std::fs::create_dir_all(folder).map_err(PipelinesError::file("create", folder))
}

/// Runs file operations where they may block.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, PipelinesError> + Send + 'static,
) -> Result<T, PipelinesError> {
    match tokio::task::spawn_blocking(operation).await {
        Ok(result) => result,
        Err(error) => Err(PipelinesError::Task(error.to_string())),
    }
}

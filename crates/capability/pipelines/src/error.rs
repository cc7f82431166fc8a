//! What can go wrong with runs.

use std::path::PathBuf;

use corliss_diagnostics::{Diagnose, Meaning, counted};
use corliss_metastore::StoreError;
use corliss_policy_access::Reason;
use corliss_types::RunId;

use crate::ports::PortError;
use crate::project_file::Problem;

/// An error of pipelines.
#[derive(Debug, thiserror::Error)]
pub enum PipelinesError {
    /// The project file is wrong; every problem is listed.
    #[error("the project file has {}", counted(problems.len(), "problem", "problems"))]
    ProjectFile {
        /// At least one.
        problems: Vec<Problem>,
    },
    /// There is no such run.
    #[error("there is no run '{run}'")]
    RunNotFound {
        /// As asked for.
        run: String,
    },
    /// The run has ended.
    #[error("run {run} has already {state}")]
    RunEnded {
        /// Run.
        run: RunId,
        /// How.
        state: &'static str,
    },
    /// The run has not ended.
    #[error("run {run} has not ended yet")]
    RunNotEnded {
        /// Run.
        run: RunId,
    },
    /// A rerun would do nothing.
    #[error("every step of run {run} has succeeded, so there is nothing to run again")]
    NothingToRerun {
        /// Run.
        run: RunId,
    },
    /// The file asks for what its submitter's role does not hold.
    #[error("the role {} does not hold '{}', which '{field}' needs", reason.role, reason.permission)]
    NotAllowed {
        /// Field of the project file.
        field: String,
        /// Why not.
        reason: Reason,
    },
    /// A field of the request is wrong.
    #[error("{message}")]
    Invalid {
        /// Field.
        field: String,
        /// One sentence.
        message: String,
        /// The fix.
        hint: Option<String>,
    },
    /// A version named by the request does not exist.
    #[error("version {version} does not exist")]
    VersionMissing {
        /// Field of the request.
        field: String,
        /// Version.
        version: String,
    },
    /// A step left something out or behind; its author can fix it.
    #[error("{message}")]
    StepOutput {
        /// One sentence.
        message: String,
    },
    /// The record of a run is not what its driver remembers.
    #[error("the record of run {run} changed under its driver ({detail})")]
    Stale {
        /// Run.
        run: RunId,
        /// What did not match.
        detail: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, such as `create`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A background task ended in a bug of ours.
    #[error("a background task of pipelines ended: {0}")]
    Task(String),
    /// Another room said no.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The metadata store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PipelinesError {
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// Whether the step or its author is at fault, so that an attempt fails for good rather than being
    /// tried again by the driver.
    pub(crate) fn is_the_steps_fault(&self) -> bool {
        match self {
            Self::StepOutput { .. } | Self::Invalid { .. } | Self::VersionMissing { .. } => true,
            Self::Port(error) => error.is_refusal(),
            _ => false,
        }
    }
}

impl Diagnose for PipelinesError {
    fn code(&self) -> &'static str {
        match self {
            Self::ProjectFile { .. } => "project_file_invalid",
            Self::RunNotFound { .. } => "run_not_found",
            Self::RunEnded { .. } => "run_ended",
            Self::RunNotEnded { .. } => "run_not_ended",
            Self::NothingToRerun { .. } => "nothing_to_rerun",
            Self::NotAllowed { .. } => "permission_denied",
            Self::Invalid { .. } => "run_invalid",
            Self::VersionMissing { .. } => "version_missing",
            Self::StepOutput { .. } => "step_output",
            Self::Stale { .. } => "run_stale",
            Self::File { .. } => "work_folder",
            Self::Task(_) => "pipelines_task",
            Self::Port(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::ProjectFile { .. } | Self::Invalid { .. } | Self::VersionMissing { .. } => {
                Meaning::InvalidInput
            }
            Self::NotAllowed { .. } => Meaning::PermissionDenied,
            Self::RunNotFound { .. } => Meaning::NotFound,
            Self::RunEnded { .. } | Self::RunNotEnded { .. } | Self::NothingToRerun { .. } => {
                Meaning::Conflict
            }
            Self::StepOutput { .. } => Meaning::InvalidInput,
            Self::Stale { .. } => Meaning::Unavailable,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Meaning::StorageFull
            }
            Self::File { .. } | Self::Task(_) => Meaning::Internal,
            Self::Port(error) => error.meaning(),
            Self::Store(error) => error.meaning(),
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::ProjectFile { problems } => problems.first().map(|problem| problem.field.clone()),
            Self::Invalid { field, .. }
            | Self::VersionMissing { field, .. }
            | Self::NotAllowed { field, .. } => Some(field.clone()),
            Self::Port(error) => error.field(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::RunNotFound { .. } => Some("list runs with: corliss runs list".to_owned()),
            Self::ProjectFile { .. } => Some("see 'problems' for each with its line and field".to_owned()),
            Self::RunNotEnded { .. } => Some("wait for its end, or cancel it".to_owned()),
            Self::NothingToRerun { .. } => Some(
                "name the step to begin with: `corliss runs rerun RUN --from STEP`, or from_step over HTTP"
                    .to_owned(),
            ),
            Self::NotAllowed { reason, .. } => Some(format!(
                "leave it out, or have someone of the role {} submit the file",
                reason.ask
            )),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::VersionMissing { .. } => Some("upload it first; `corliss run` does".to_owned()),
            Self::Port(error) => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

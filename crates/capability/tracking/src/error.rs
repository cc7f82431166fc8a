//! What can go wrong in tracking.

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::StoreError;
use corliss_mlflow_wire::WireError;
use corliss_tabular::TabularError;

use crate::PortError;

/// An error of tracking. Messages that MLflow's clients see are MLflow's own sentences, because their users'
/// code matches on them.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] WireError),
    /// An experiment, run, tag, model or artifact that does not exist.
    #[error("{0}")]
    NotFound(String),
    /// An experiment of this name exists, active or deleted.
    #[error("Experiment(name={0}) already exists.")]
    ExperimentExists(String),
    /// An address that carries its own permission does not have it.
    #[error("the address {problem}")]
    Ticket {
        /// Why.
        problem: &'static str,
    },
    /// The bytes asked for lie behind the end.
    #[error("the file has {size_bytes} bytes, and those asked for lie behind them")]
    Range {
        /// What it has.
        size_bytes: u64,
    },
    /// As many uploads in parts are under way as may be.
    #[error("too many uploads in parts are under way")]
    TooManyUploads,
    /// An experiment of the name that one is to be moved into holds something else, or is filled from another source.
    #[error(
        "there is an experiment '{0}' here that holds something else, or that something else is moved into"
    )]
    ImportExperimentTaken(String),
    /// A run of the id of one that is to be moved in was made here.
    #[error("there is a run {0} here that was not moved in")]
    ImportTaken(String),
    /// A run or logged model that is to be moved in is in another experiment already.
    #[error("'{id}' is here already, in the experiment '{experiment}'")]
    ImportElsewhere {
        /// The run or logged model.
        id: String,
        /// Name of the experiment that it is in.
        experiment: String,
    },
    /// A run that is to be filled was not begun.
    #[error("the run {0} is not being moved in")]
    ImportNotBegun(String),
    /// A file whose rows were asked for is none of the tables that are read.
    #[error("'{0}' is no table that can be read here")]
    NoTable(String),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TabularError),
    /// The metadata store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What holds the artifacts' bytes failed.
    #[error(transparent)]
    Bytes(#[from] PortError),
}

impl TrackingError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Request(WireError::new(message))
    }

    pub(crate) fn run_not_found(run_id: &str) -> Self {
        Self::NotFound(format!("Run with id={run_id} not found"))
    }

    pub(crate) fn experiment_not_found(experiment_id: i64) -> Self {
        Self::NotFound(format!("No Experiment with id={experiment_id} exists"))
    }

    pub(crate) fn model_not_found(model_id: &str) -> Self {
        Self::NotFound(format!("Logged model with ID '{model_id}' not found."))
    }
}

impl Diagnose for TrackingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::NotFound(_) => "tracking_not_found",
            Self::ExperimentExists(_) => "experiment_exists",
            Self::Ticket { .. } => "artifact_ticket_invalid",
            Self::Range { .. } => "artifact_range_invalid",
            Self::TooManyUploads => "too_many_uploads",
            Self::ImportExperimentTaken(_) => "import_experiment_taken",
            Self::ImportTaken(_) => "import_run_taken",
            Self::ImportElsewhere { .. } => "import_elsewhere",
            Self::ImportNotBegun(_) => "import_run_not_begun",
            Self::NoTable(_) => "artifact_no_table",
            Self::Table(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Bytes(error) => error.code(),
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Request(error) => error.meaning(),
            Self::NotFound(_) | Self::Ticket { .. } => Meaning::NotFound,
            Self::Range { .. } | Self::NoTable(_) => Meaning::InvalidInput,
            Self::Table(error) => error.meaning(),
            Self::TooManyUploads => Meaning::ResourceExhausted,
            Self::ExperimentExists(_)
            | Self::ImportExperimentTaken(_)
            | Self::ImportTaken(_)
            | Self::ImportElsewhere { .. }
            | Self::ImportNotBegun(_) => Meaning::Conflict,
            Self::Store(error) => error.meaning(),
            Self::Bytes(error) => error.meaning(),
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.retryable(),
            Self::Bytes(error) => error.retryable(),
            Self::Table(error) => error.retryable(),
            Self::TooManyUploads => true,
            _ => false,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Request(error) => error.field(),
            Self::Table(error) => error.field(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Bytes(error) => error.hint(),
            Self::Table(error) => error.hint(),
            Self::NoTable(_) => {
                Some("CSV, JSON lines and Parquet are read; fetch the file itself".to_owned())
            }
            Self::Ticket { .. } => Some("ask for a new one".to_owned()),
            Self::ImportExperimentTaken(_) => {
                Some("add to it with merge, or move it in under another name".to_owned())
            }
            Self::ImportNotBegun(_) => Some("begin it, then send what belongs to it".to_owned()),
            Self::TooManyUploads => Some("abort those that nobody completes".to_owned()),
            _ => None,
        }
    }
}

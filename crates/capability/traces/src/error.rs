//! What can go wrong with traces.

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::StoreError;
use corliss_mlflow_wire::WireError;

use crate::PortError;

/// An error of traces. Messages that MLflow's clients see are MLflow's own sentences, because their users' code
/// matches on them.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] WireError),
    /// A trace, tag, assessment, experiment or run that does not exist.
    #[error("{0}")]
    NotFound(String),
    /// More than this server takes.
    #[error("{message}")]
    Limit {
        /// The field of the request.
        field: &'static str,
        /// What there is too much of, and how much is taken.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// Bytes of spans that are not what their headers say.
    #[error("{0}")]
    Malformed(String),
    /// Spans that were stored cannot be read back.
    #[error("the stored spans of trace {trace_id} cannot be read")]
    Damaged {
        /// The trace.
        trace_id: String,
    },
    /// The work was dropped because the process is ending.
    #[error("the server is stopping")]
    Stopping,
    /// The metadata store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What keeps experiments or runs failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl TracesError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Request(WireError::new(message))
    }

    pub(crate) fn trace_not_found(trace_id: &str) -> Self {
        Self::NotFound(format!("Trace with ID '{trace_id}' not found."))
    }

    pub(crate) fn too_many(field: &'static str, what: &str, limit: usize, hint: &'static str) -> Self {
        Self::Limit {
            field,
            message: format!("'{field}' holds more than {limit} {what}"),
            hint,
        }
    }
}

impl Diagnose for TracesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::NotFound(_) => "traces_not_found",
            Self::Limit { .. } => "traces_limit",
            Self::Malformed(_) => "spans_malformed",
            Self::Damaged { .. } => "spans_damaged",
            Self::Stopping => "traces_stopping",
            Self::Store(error) => error.code(),
            Self::Port(error) => error.code(),
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Request(error) => error.meaning(),
            Self::NotFound(_) => Meaning::NotFound,
            Self::Limit { .. } => Meaning::TooLarge,
            Self::Malformed(_) => Meaning::InvalidInput,
            Self::Damaged { .. } => Meaning::Internal,
            Self::Stopping => Meaning::Unavailable,
            Self::Store(error) => error.meaning(),
            Self::Port(error) => error.meaning(),
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.retryable(),
            Self::Port(error) => error.retryable(),
            Self::Stopping => true,
            _ => false,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Request(error) => error.field(),
            Self::Limit { field, .. } => Some((*field).to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Limit { hint, .. } => Some((*hint).to_owned()),
            Self::Malformed(_) => Some(
                "send an ExportTraceServiceRequest of OpenTelemetry, as protobuf or JSON, plain, gzip or deflate"
                    .to_owned(),
            ),
            Self::Store(error) => error.hint(),
            Self::Port(error) => error.hint(),
            _ => None,
        }
    }
}

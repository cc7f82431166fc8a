//! Why a request is not answered.

use corliss_diagnostics::{Diagnose, ErrorReport, Meaning};
use corliss_engine::EngineError;
use corliss_http::ApiError;

/// An engine's code for a request whose own time was up before it was answered.
const LATE: &str = "request_deadline_exceeded";

/// An error of this capability.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// No endpoint has this name.
    #[error("there is no endpoint '{name}'")]
    ModelNotFound {
        /// As asked for.
        name: String,
    },
    /// The endpoint serves another version.
    #[error("endpoint '{name}' does not serve version {version}")]
    VersionNotFound {
        /// Endpoint.
        name: String,
        /// As asked for.
        version: String,
    },
    /// The endpoint serves another kind of model.
    #[error("endpoint '{name}' serves {serves}, which does not answer this path")]
    WrongKind {
        /// Endpoint.
        name: String,
        /// What it serves, in words.
        serves: &'static str,
        /// Which path to use.
        use_path: &'static str,
    },
    /// No replica takes requests.
    #[error("endpoint '{name}' is not ready: {reason}")]
    NotReady {
        /// Endpoint.
        name: String,
        /// Why.
        reason: String,
    },
    /// Too many requests at once.
    #[error("endpoint '{name}' works on {limit} requests already, which is its limit")]
    Busy {
        /// Endpoint.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// It took longer than allowed.
    #[error("endpoint '{name}' gave no answer within {seconds} s")]
    DeadlineExceeded {
        /// Endpoint.
        name: String,
        /// The limit.
        seconds: u64,
    },
    /// A parameter that is not supported and cannot be ignored.
    #[error("the parameter '{parameter}' is not supported")]
    UnsupportedParameter {
        /// Its name.
        parameter: String,
        /// What to do instead, if anything.
        instead: Option<&'static str>,
    },
    /// A parameter of a wrong type or value.
    #[error("{parameter}: {reason}")]
    InvalidParameter {
        /// Its name.
        parameter: String,
        /// What is wrong.
        reason: String,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine failed after it had begun to answer.
    #[error("{}", .0.message)]
    Generation(Box<ErrorReport>),
}

impl Diagnose for GatewayError {
    fn code(&self) -> &'static str {
        match self {
            Self::ModelNotFound { .. } => "model_not_found",
            Self::VersionNotFound { .. } => "model_version_not_found",
            Self::WrongKind { .. } => "model_kind_mismatch",
            Self::NotReady { .. } => "endpoint_not_ready",
            Self::Busy { .. } => "endpoint_busy",
            Self::DeadlineExceeded { .. } => "inference_timed_out",
            Self::UnsupportedParameter { .. } => "unsupported_parameter",
            Self::InvalidParameter { .. } => "invalid_parameter",
            Self::Engine(error) => error.code(),
            Self::Generation(report) if report.code == LATE => LATE,
            Self::Generation(_) => "generation_failed",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::ModelNotFound { .. } | Self::VersionNotFound { .. } => Meaning::NotFound,
            Self::WrongKind { .. } | Self::UnsupportedParameter { .. } | Self::InvalidParameter { .. } => {
                Meaning::InvalidInput
            }
            Self::NotReady { .. } => Meaning::Unavailable,
            Self::Busy { .. } => Meaning::ResourceExhausted,
            Self::DeadlineExceeded { .. } => Meaning::DeadlineExceeded,
            Self::Engine(error) => error.meaning(),
            Self::Generation(report) if report.retryable => Meaning::Unavailable,
            Self::Generation(report) if report.code == LATE => Meaning::DeadlineExceeded,
            // Only while it was followed did the engine find that a format is too much work.
            Self::Generation(report) if report.code == "invalid_request" => Meaning::InvalidInput,
            Self::Generation(_) => Meaning::Internal,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::ModelNotFound { .. } => Some("model".to_owned()),
            Self::UnsupportedParameter { parameter, .. } | Self::InvalidParameter { parameter, .. } => {
                Some(parameter.clone())
            }
            Self::Engine(error) => error.field(),
            Self::Generation(report) => report.field.clone(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ModelNotFound { .. } => Some("list endpoints with: corliss endpoints list".to_owned()),
            Self::WrongKind { use_path, .. } => Some(format!("use {use_path}")),
            Self::Busy { .. } => Some("try again shortly, or add replicas".to_owned()),
            Self::UnsupportedParameter { instead, .. } => Some(instead.unwrap_or("leave it out").to_owned()),
            Self::Engine(error) => error.hint(),
            Self::Generation(report) => report.hint.clone(),
            _ => None,
        }
    }
}

impl GatewayError {
    /// As an answer, with the time after which trying again makes sense.
    pub(crate) fn into_api(self) -> ApiError {
        let error = ApiError::of(&self);
        let known = self.code();
        let error = match self.meaning() {
            Meaning::ResourceExhausted | Meaning::Unavailable => error.with_retry_after(self.retry_after_s()),
            _ => error,
        };
        // These two are codes that OpenAI's clients look at; ours are the same words.
        match known {
            "model_not_found" | "context_length_exceeded" => error.with_foreign_code(known),
            _ => error,
        }
    }

    fn retry_after_s(&self) -> u64 {
        match self {
            Self::Engine(error) => error.retry_after_s().unwrap_or(1),
            _ => 1,
        }
    }

    /// Whether another replica may answer what this one did not.
    pub(crate) fn elsewhere(&self) -> bool {
        match self {
            Self::Engine(error) => matches!(
                error.code(),
                "engine_unreachable"
                    | "engine_connection_lost"
                    | "engine_not_ready"
                    | "engine_queue_full"
                    | "engine_stopped"
            ),
            Self::Generation(report) => report.code == "engine_stopped",
            _ => false,
        }
    }

    /// Whether it says that the replica itself is in no state to answer.
    pub(crate) fn blames_replica(&self) -> bool {
        matches!(
            self,
            Self::Engine(error) if matches!(
                error.code(),
                "engine_unreachable" | "engine_connection_lost" | "engine_not_ready" | "engine_stopped"
            )
        )
    }
}

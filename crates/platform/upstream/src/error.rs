//! Why there is no answer.

use std::io;

use corliss_diagnostics::{Diagnose, Meaning};

/// An error of this floor. What an upstream answers, whatever the status, is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// What was given as an address is none.
    #[error("the address {problem}")]
    BadAddress {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody listens there, or not in time: nothing was sent.
    #[error("cannot reach {place}: {source}")]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {place} broke off: {detail}")]
    Lost {
        /// Where.
        place: String,
        /// How.
        detail: String,
    },
    /// What came is no answer to what was asked.
    #[error("the answer of {place} is not understood: {detail}")]
    NotUnderstood {
        /// Where.
        place: String,
        /// What it is instead.
        detail: String,
    },
    /// An answer that is held in memory is larger than that.
    #[error("the answer of {place} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// Where.
        place: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// TLS cannot be set up here.
    #[error("TLS cannot be set up: {detail}")]
    Tls {
        /// Why.
        detail: String,
    },
    /// A request that cannot be written down.
    #[error("the request cannot be sent: {detail}")]
    BadRequest {
        /// Why.
        detail: String,
    },
}

impl Diagnose for UpstreamError {
    fn code(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "upstream_address_invalid",
            Self::Unreachable { .. } => "upstream_unreachable",
            Self::Lost { .. } => "upstream_connection_lost",
            Self::NotUnderstood { .. } => "upstream_answer_invalid",
            Self::TooLarge { .. } => "upstream_answer_too_large",
            Self::Tls { .. } => "upstream_tls_failed",
            Self::BadRequest { .. } => "upstream_request_invalid",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::BadAddress { .. } => Meaning::InvalidInput,
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::NotUnderstood { .. }
            | Self::TooLarge { .. } => Meaning::Unavailable,
            Self::Tls { .. } | Self::BadRequest { .. } => Meaning::Internal,
        }
    }
}

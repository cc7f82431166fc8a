//! What can go wrong with credentials.

use std::io;
use std::path::PathBuf;

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::StoreError;
use corliss_types::Role;

/// An error of this capability.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file under the home directory could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The credentials file or the key is not what we wrote.
    #[error("{path} is not valid: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// One sentence.
        reason: String,
    },
    /// No token has this id.
    #[error("there is no token '{id}'")]
    TokenNotFound {
        /// As asked for.
        id: String,
    },
    /// Revoking it would leave nobody who can administer the installation.
    #[error("token '{id}' is the last one of a platform admin")]
    LastAdmin {
        /// As asked for.
        id: String,
    },
    /// The name is taken by a principal of another role.
    #[error("the name '{name}' belongs to a principal with the role {role}")]
    NameTaken {
        /// The name.
        name: String,
        /// Its role.
        role: Role,
    },
    /// A request field is out of range.
    #[error("{field} {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Diagnose for SecurityError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::File { .. } => "credentials_file_failed",
            Self::Malformed { .. } => "credentials_file_invalid",
            Self::TokenNotFound { .. } => "token_not_found",
            Self::LastAdmin { .. } => "last_admin_token",
            Self::NameTaken { .. } => "principal_exists",
            Self::Invalid { .. } => "token_request_invalid",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Store(error) => error.meaning(),
            Self::File { .. } => Meaning::Unavailable,
            Self::Malformed { .. } => Meaning::Internal,
            Self::TokenNotFound { .. } => Meaning::NotFound,
            Self::LastAdmin { .. } | Self::NameTaken { .. } => Meaning::Conflict,
            Self::Invalid { .. } => Meaning::InvalidInput,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.retryable(),
            _ => false,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Invalid { field, .. } => Some((*field).to_owned()),
            Self::NameTaken { .. } => Some("name".to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Malformed { .. } => {
                Some("move the file away and start the server again: it makes a new one".to_owned())
            }
            Self::LastAdmin { .. } => Some("issue another token of the role platform-admin first".to_owned()),
            Self::NameTaken { role, .. } => Some(format!("choose another name, or ask for the role {role}")),
            _ => None,
        }
    }
}

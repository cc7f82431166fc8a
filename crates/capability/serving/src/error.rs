//! What can go wrong with endpoints.

use std::io;
use std::path::PathBuf;

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_engine::EngineError;
use corliss_metastore::StoreError;

use crate::PortError;

/// An error of this capability.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another room failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The model cannot be served.
    #[error(transparent)]
    Model(#[from] EngineError),
    /// The model is of a kind that has no engine here.
    #[error("model {model} version {version} has no file that an engine can serve")]
    NoEngine {
        /// Its name.
        model: String,
        /// Its version.
        version: u32,
    },
    /// Its file is larger than the memory that a replica may have.
    #[error(
        "model {model} version {version} has {size_bytes} bytes, and a replica of it may have {memory_bytes} bytes of \
         memory"
    )]
    TooLarge {
        /// Its name.
        model: String,
        /// Its version.
        version: u32,
        /// Of its file.
        size_bytes: u64,
        /// Of a replica, or of the machine if nothing is said.
        memory_bytes: u64,
    },
    /// No endpoint has this name.
    #[error("there is no endpoint '{name}'")]
    NotFound {
        /// As asked for.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// An endpoint of another kind has the name.
    #[error("the endpoint '{name}' is there already, answered by {by}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who answers it, in words.
        by: &'static str,
    },
    /// A field of a request is wrong.
    #[error("{field} {problem}")]
    Invalid {
        /// Which.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No release of the endpoint has this id.
    #[error("endpoint '{endpoint}' has no release '{id}'")]
    ReleaseNotFound {
        /// The endpoint.
        endpoint: String,
        /// As asked for.
        id: String,
    },
    /// The release is over.
    #[error("release {id} is {state} and cannot be changed any more")]
    ReleaseEnded {
        /// Which.
        id: String,
        /// How it ended, in words.
        state: &'static str,
    },
    /// The endpoint or the release changed at the same moment.
    #[error("release {id} changed while it was looked at")]
    ReleaseChanged {
        /// Which.
        id: String,
    },
    /// A folder for sockets could not be made.
    #[error("cannot use {path} for sockets")]
    Sockets {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Diagnose for ServingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Port(error) => error.code(),
            Self::Model(error) => error.code(),
            Self::NoEngine { .. } => "model_not_servable",
            Self::TooLarge { .. } => "model_too_large",
            Self::NotFound { .. } => "endpoint_not_found",
            Self::NameTaken { .. } => "endpoint_exists",
            Self::Invalid { .. } => "invalid_field",
            Self::ReleaseNotFound { .. } => "release_not_found",
            Self::ReleaseEnded { .. } => "release_ended",
            Self::ReleaseChanged { .. } => "release_changed",
            Self::Sockets { .. } => "socket_folder",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Store(error) => error.meaning(),
            Self::Port(error) => error.meaning(),
            Self::Model(error) => error.meaning(),
            Self::NoEngine { .. } | Self::TooLarge { .. } | Self::Invalid { .. } => Meaning::InvalidInput,
            Self::NotFound { .. } | Self::ReleaseNotFound { .. } => Meaning::NotFound,
            Self::NameTaken { .. } | Self::ReleaseEnded { .. } | Self::ReleaseChanged { .. } => {
                Meaning::Conflict
            }
            Self::Sockets { .. } => Meaning::Internal,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Port(error) => error.report().field.clone(),
            Self::Invalid { field, .. } => Some(field.clone()),
            Self::NoEngine { .. } | Self::TooLarge { .. } => Some("model".to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Port(error) => error.report().hint.clone(),
            Self::Model(error) => error.hint(),
            Self::NoEngine { .. } => {
                Some("register a folder that holds one .onnx file, or one .gguf file".to_owned())
            }
            Self::TooLarge { .. } => Some(
                "give its replicas more in resources.memory_bytes, or serve it where there is more memory"
                    .to_owned(),
            ),
            Self::NotFound {
                nearest: Some(name), ..
            } => Some(format!("did you mean '{name}'?")),
            Self::NotFound { nearest: None, .. } => {
                Some("list endpoints with: corliss endpoints list".to_owned())
            }
            Self::ReleaseNotFound { endpoint, .. } => Some(format!(
                "list its releases with: corliss endpoints releases {endpoint}"
            )),
            Self::ReleaseEnded { .. } => Some(
                "deploy the version that is to serve: corliss endpoints deploy NAME --model MODEL/VERSION"
                    .to_owned(),
            ),
            Self::ReleaseChanged { .. } => Some("look at it and say it again".to_owned()),
            Self::Sockets { .. } => {
                Some("check who owns the folder and that the disk is not full".to_owned())
            }
            _ => None,
        }
    }
}

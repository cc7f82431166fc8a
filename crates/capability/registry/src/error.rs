//! What can go wrong in the registry.

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::StoreError;
use corliss_mlflow_wire::WireError;

use crate::PortError;

/// An error of the registry. Clients of MLflow are told the same in its words, see `http::mlflow`.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] WireError),
    /// No registered model has this name.
    #[error("there is no model '{name}'")]
    ModelNotFound {
        /// As asked for.
        name: String,
        /// The nearest that exists.
        nearest: Option<String>,
    },
    /// The model has no version of this number.
    #[error("model '{name}' has no version {version}")]
    VersionNotFound {
        /// The model.
        name: String,
        /// As asked for.
        version: String,
        /// The highest that exists.
        latest: Option<i64>,
    },
    /// The model has no such alias.
    #[error("model '{name}' has no alias '{alias}'")]
    AliasNotFound {
        /// The model.
        name: String,
        /// As asked for.
        alias: String,
        /// The nearest that exists.
        nearest: Option<String>,
    },
    /// A reference that is not `name`, `name@alias` or `name/3`.
    #[error("'{0}' does not name a model version")]
    Reference(String),
    /// The number of a version that is to be moved in is another one's here.
    #[error("model '{name}' has a version {version} here that comes from elsewhere")]
    VersionTaken {
        /// The model.
        name: String,
        /// The number.
        version: i64,
    },
    /// A model of this name exists.
    #[error("there is a model '{0}' already")]
    ModelExists(String),
    /// The name is taken by a prompt, or what is to be a prompt is; clients are told which.
    #[error("{0}")]
    NameTaken(String),
    /// There is no webhook of this id.
    #[error("there is no webhook '{0}'")]
    WebhookNotFound(String),
    /// There are as many webhooks as there may be.
    #[error("there are {0} webhooks already")]
    TooManyWebhooks(u64),
    /// The version has no such file.
    #[error("version {version} of model '{name}' has no file '{path}'")]
    FileNotFound {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// As asked for.
        path: String,
    },
    /// The alias moved meanwhile.
    #[error("the alias '{alias}' of model '{name}' {now}, so it was not moved")]
    AliasMoved {
        /// The model.
        name: String,
        /// The alias.
        alias: String,
        /// What it does now.
        now: String,
    },
    /// A file of the version is not what it should be.
    #[error("version {version} of model '{name}' is damaged: {file}: {detail}")]
    Damaged {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// The file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A file of the version is a pickle, and nobody said that this is all right.
    #[error("version {version} of model '{name}' is not deployed: '{file}' is {detail}")]
    Pickled {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// The file.
        file: String,
        /// What it is.
        detail: String,
        /// The file that an engine would load.
        beside: String,
    },
    /// Only Python loads the version, that runs code of whoever made it, and nobody said that this is all right.
    #[error("version {version} of model '{name}' is not deployed: {detail}")]
    RunsCode {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// Why.
        detail: String,
    },
    /// A file of the version is a pickle, and no engine loads any of the others.
    #[error(
        "version {version} of model '{name}' cannot be served: '{file}' is {detail}, and no ONNX or GGUF file lies \
         beside it"
    )]
    OnlyPickled {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// The pickle.
        file: String,
        /// What it is.
        detail: String,
    },
    /// The version of a protected model lacks approval.
    #[error("version {version} of model '{name}' {problem}")]
    NotApproved {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// What is missing.
        problem: String,
        /// Whether who registered it may approve it.
        self_approval: bool,
        /// Who that is.
        registered_by: String,
    },
    /// Who registered a version may not approve it.
    #[error("version {version} of model '{name}' was registered by {actor}, so somebody else approves it")]
    OwnVersion {
        /// The model.
        name: String,
        /// The version.
        version: i64,
        /// Who asked.
        actor: String,
    },
    /// The files of a version could not be looked at.
    #[error("the files cannot be read: {0}")]
    Unreadable(String),
    /// The model is protected, so that it cannot go away or be called otherwise.
    #[error("model '{0}' is protected")]
    Protected(String),
    /// The source is not an immutable version that is kept here, nor can it be made one.
    #[error("'{0}' is nothing that this server keeps")]
    Source(String),
    /// The metadata store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What stands behind a port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl RegistryError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Request(WireError::new(message))
    }
}

impl Diagnose for RegistryError {
    fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::ModelNotFound { .. } => "model_not_found",
            Self::VersionNotFound { .. } => "model_version_not_found",
            Self::AliasNotFound { .. } => "model_alias_not_found",
            Self::Reference(_) => "model_reference_invalid",
            Self::VersionTaken { .. } => "model_version_taken",
            Self::ModelExists(_) | Self::NameTaken(_) => "model_exists",
            Self::WebhookNotFound(_) => "webhook_not_found",
            Self::TooManyWebhooks(_) => "too_many_webhooks",
            Self::FileNotFound { .. } => "model_file_not_found",
            Self::AliasMoved { .. } => "model_alias_moved",
            Self::Damaged { .. } => "model_damaged",
            Self::Pickled { .. } => "model_pickled",
            Self::RunsCode { .. } => "model_runs_code",
            Self::OnlyPickled { .. } => "model_only_pickled",
            Self::NotApproved { .. } => "model_not_approved",
            Self::OwnVersion { .. } => "model_approval_own",
            Self::Unreadable(_) => "model_unreadable",
            Self::Protected(_) => "model_protected",
            Self::Source(_) => "model_source_invalid",
            Self::Store(error) => error.code(),
            Self::Port(error) => error.code(),
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Request(_)
            | Self::Reference(_)
            | Self::Source(_)
            | Self::Damaged { .. }
            | Self::OnlyPickled { .. } => Meaning::InvalidInput,
            Self::Pickled { .. } | Self::RunsCode { .. } | Self::OwnVersion { .. } => {
                Meaning::PermissionDenied
            }
            Self::ModelNotFound { .. }
            | Self::VersionNotFound { .. }
            | Self::AliasNotFound { .. }
            | Self::WebhookNotFound(_)
            | Self::FileNotFound { .. } => Meaning::NotFound,
            Self::VersionTaken { .. }
            | Self::ModelExists(_)
            | Self::NameTaken(_)
            | Self::AliasMoved { .. }
            | Self::NotApproved { .. }
            | Self::Protected(_)
            | Self::TooManyWebhooks(_) => Meaning::Conflict,
            Self::Unreadable(_) => Meaning::Internal,
            Self::Store(error) => error.meaning(),
            Self::Port(error) => error.meaning(),
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.retryable(),
            Self::Port(error) => error.retryable(),
            _ => false,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Request(error) => error.field(),
            Self::Source(_) => Some("source".to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ModelNotFound {
                nearest: Some(nearest),
                ..
            }
            | Self::AliasNotFound {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean '{nearest}'?")),
            Self::VersionNotFound {
                latest: Some(latest), ..
            } => Some(format!("the latest version is {latest}")),
            Self::ModelNotFound { nearest: None, .. } => {
                Some("list models with: corliss models list".to_owned())
            }
            Self::Reference(_) => Some("write it as name, name@alias or name/3".to_owned()),
            Self::Source(_) => Some("register artifacts that were logged to this server".to_owned()),
            Self::AliasMoved { .. } => Some("look at the model again and repeat the request".to_owned()),
            Self::TooManyWebhooks(_) => Some("delete one that nobody needs".to_owned()),
            Self::FileNotFound { .. } => Some("the artifacts of the version are listed with it".to_owned()),
            Self::Damaged { .. } => Some("register the model again from a whole file".to_owned()),
            Self::Pickled { beside, .. } => Some(format!(
                "a pickle runs code when it is loaded, so it never is: register the model without it, or let a \
                 platform-admin deploy '{beside}' with --allow-pickle"
            )),
            Self::RunsCode { .. } => Some(
                "code of whoever made the model runs when it is loaded: if you trust them, let a platform-admin deploy \
                 it with --allow-pickle"
                    .to_owned(),
            ),
            Self::OnlyPickled { .. } => Some(
                "a pickle runs code when it is loaded, so it never is, with --allow-pickle neither: register the \
                 model as ONNX or GGUF"
                    .to_owned(),
            ),
            Self::NotApproved {
                name,
                version,
                self_approval,
                registered_by,
                ..
            } => {
                let who = match (self_approval, registered_by.as_str()) {
                    (false, by) if !by.is_empty() => format!("somebody other than {by}"),
                    _ => "an ml-engineer".to_owned(),
                };
                Some(format!("{who} approves it with: corliss models approve {name} {version}"))
            }
            Self::OwnVersion { name, .. } => Some(format!(
                "where nobody else is there: corliss models protect {name} --self-approval"
            )),
            Self::Protected(name) => Some(format!("end that first with: corliss models unprotect {name}")),
            Self::Store(error) => error.hint(),
            Self::Port(error) => error.hint(),
            _ => None,
        }
    }
}

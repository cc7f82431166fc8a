//! Our errors in MLflow's own sentences, because its users' code matches on them.

use axum::response::{IntoResponse, Response};
use corliss_diagnostics::{Diagnose, ErrorReport};
use corliss_http::ApiError;

use crate::RegistryError;

/// An error on its way to a client of MLflow.
pub(super) struct Refusal(ApiError);

/// The sentence of the reference server, where it has one for this.
pub(super) fn sentence(error: &RegistryError) -> String {
    match error {
        RegistryError::ModelNotFound { name, .. } => format!("Registered Model with name={name} not found"),
        RegistryError::VersionNotFound { name, version, .. } if version == "latest" => {
            format!("Latest version not found for model {name}.")
        }
        RegistryError::WebhookNotFound(id) => format!("Webhook with ID {id} not found."),
        RegistryError::VersionNotFound { name, version, .. } => {
            format!("Model Version (name={name}, version={version}) not found")
        }
        RegistryError::AliasNotFound { alias, .. } => format!("Registered model alias {alias} not found."),
        RegistryError::ModelExists(name) => format!("Registered Model (name={name}) already exists."),
        RegistryError::Source(source) => format!("Invalid model version source: '{source}'."),
        other => other.to_string(),
    }
}

impl<E: Into<RegistryError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        let sentence = sentence(&error);
        let own = ErrorReport::of(&error);
        // Where MLflow has a sentence, our hint would be part of it: this dialect has no other place for one.
        let hint = own.hint.filter(|_| sentence == own.message);
        let report = ErrorReport {
            message: sentence,
            hint,
            ..own
        };
        Self(ApiError::of_report(error.meaning(), report))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

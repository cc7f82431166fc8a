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
        let report = ErrorReport {
            message: sentence(&error),
            ..ErrorReport::of(&error)
        };
        Self(ApiError::of_report(error.meaning(), report))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

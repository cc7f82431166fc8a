//! The protocols that the registry speaks.

mod acting;
mod mlflow;
mod native;

use corliss_http::Routes;

use crate::Registry;

/// All routes of the registry.
#[must_use]
pub fn routes(registry: Registry) -> Routes {
    native::routes(registry.clone()).merge(mlflow::routes(registry))
}

//! The tenant that a request is for. There is one; clients of MLflow call it a workspace and may name it in a header.

use corliss_diagnostics::Meaning;
use corliss_types::Access;
use http::HeaderMap;

use crate::{ApiError, Dialect, RouteInfo};

/// The one tenant that there is.
pub const TENANT: &str = "default";

/// The header by which MLflow's clients name a workspace.
const WORKSPACE: &str = "x-mlflow-workspace";

/// Refuses what is meant for another tenant, as if that were not there. What anybody may ask tells nothing of tenants.
pub(crate) fn of_request(route: &RouteInfo, headers: &HeaderMap) -> Result<(), ApiError> {
    if route.dialect != Dialect::Mlflow || route.access == Access::Public {
        return Ok(());
    }
    for value in headers.get_all(WORKSPACE) {
        let name = String::from_utf8_lossy(value.as_bytes());
        let name = name.trim();
        if !name.is_empty() && name != TENANT {
            return Err(workspace_not_found(name));
        }
    }
    Ok(())
}

/// There is no tenant of this name, or none that the caller may act in: the answer is the same.
#[must_use]
pub fn workspace_not_found(name: &str) -> ApiError {
    ApiError::new(
        Meaning::NotFound,
        "workspace_not_found",
        format!("Workspace '{name}' not found"),
    )
    .with_hint(format!("the workspace of this installation is '{TENANT}'"))
}

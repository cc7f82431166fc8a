//! `workspaces` and `workspaces/{name}`: the tenants of this installation, as MLflow's clients call them. There is one, and
//! it is made and ends with the installation.

use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Json, Path, TENANT, workspace_not_found};
use serde_json::{Value, json};

use super::Answer;

fn workspace() -> Value {
    json!({ "name": TENANT, "description": "The tenant of this installation" })
}

pub(super) async fn list() -> Json<Value> {
    Json(json!({ "workspaces": [workspace()] }))
}

pub(super) async fn get(Path(name): Path<String>) -> Answer {
    if name != TENANT {
        return Err(workspace_not_found(&name));
    }
    Ok(Json(json!({ "workspace": workspace() })))
}

/// Creating, changing and removing: refused to everybody, and said so, since clients would take a path that is not there
/// for a server that knows no workspaces.
pub(super) async fn refuse() -> Answer {
    let message =
        format!("This installation has one workspace, '{TENANT}'; it cannot be changed, nor others made");
    Err(ApiError::new(Meaning::InvalidInput, "workspaces_fixed", message)
        .with_hint("keep what must be apart in an installation of its own")
        .with_foreign_code("FEATURE_DISABLED"))
}

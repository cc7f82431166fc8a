//! What clients ask before anything else. These answer anyone, as MLflow's do.

use corliss_http::Json;
use serde_json::{Value, json};

/// The version of the dialect: clients enable what a server of this version has.
const DIALECT_VERSION: &str = "3.17.2";

pub(super) async fn version() -> &'static str {
    DIALECT_VERSION
}

pub(super) async fn health() -> &'static str {
    "OK"
}

pub(super) async fn server_info() -> Json<Value> {
    Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "trace_archival_enabled": false,
    }))
}

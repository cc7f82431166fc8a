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

/// What clients may use. Uploads in parts and addresses for a while work, for whoever asks for them; but a file in one piece
/// is stored once, and one in parts is read once more, so clients are not told to prefer them. Clients that were told to work
/// in a workspace do so only with a server that knows of workspaces, which this one does: it has one, its tenant.
pub(super) async fn server_info() -> Json<Value> {
    Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": true,
        "artifact_serving_enabled": true,
        "artifacts_presigned_only": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": true,
        "presigned_upload_model_id_supported": true,
        "model_artifact_presigned_downloads_supported": false,
        "trace_archival_enabled": false,
    }))
}

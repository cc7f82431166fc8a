//! Artifacts: what a run or a logged model has (`artifacts/list`), and their bytes (`mlflow-artifacts`).

use std::io;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json, Path};
use corliss_mlflow_wire::Args;
use futures_util::StreamExt;
use http::header;
use serde_json::{Value, json};

use super::Answer;
use crate::service::{ArtifactRead, Tracking, artifact_path};
use crate::types::ArtifactEntry;

fn entries(folder: &str, entries: &[ArtifactEntry]) -> Value {
    entries
        .iter()
        .map(|entry| {
            let path = if folder.is_empty() {
                entry.name.clone()
            } else {
                format!("{folder}/{}", entry.name)
            };
            match entry.size_bytes {
                Some(bytes) => json!({ "path": path, "is_dir": false, "file_size": bytes }),
                None => json!({ "path": path, "is_dir": true }),
            }
        })
        .collect()
}

async fn list_under(tracking: &Tracking, root_uri: &str, args: &Args, name: &str) -> Answer {
    let folder = args.text(name)?.unwrap_or_default();
    let folder = folder.trim_end_matches('/');
    let files = match artifact_path(root_uri) {
        // Bytes that another store holds are listed by the client itself.
        None => Value::Array(Vec::new()),
        Some(root) => {
            let path = if folder.is_empty() {
                root
            } else {
                format!("{root}/{folder}")
            };
            entries(folder, &tracking.list_artifacts(path).await?)
        }
    };
    Ok(Json(json!({ "root_uri": root_uri, "files": files })))
}

pub(super) async fn list_of_run(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run = tracking.run(args.run_id()?).await?;
    list_under(&tracking, &run.info.artifact_uri, &args, "path").await
}

pub(super) async fn list_of_model(
    State(tracking): State<Tracking>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let model = tracking.logged_model(id, false).await?;
    list_under(&tracking, &model.artifact_uri, &args, "artifact_directory_path").await
}

/// Lists a folder by names relative to it.
pub(super) async fn list(State(tracking): State<Tracking>, args: Args) -> Answer {
    let folder = args.text("path")?.unwrap_or_default();
    let listed = tracking
        .list_artifacts(folder.trim_end_matches('/').to_owned())
        .await?;
    Ok(Json(json!({ "files": entries("", &listed) })))
}

pub(super) async fn download(
    State(tracking): State<Tracking>,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(attachment(&name, tracking.open_artifact(path).await?))
}

pub(super) fn attachment(name: &str, read: ArtifactRead) -> Response {
    // Always an attachment of an opaque kind: what a run uploaded must not run in the console's origin.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, read.size_bytes.to_string()),
        (header::ETAG, format!("\"{}\"", read.blob)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename*=UTF-8''{}", escaped(name)),
        ),
    ];
    (headers, Body::from_stream(read.bytes)).into_response()
}

/// A file name as RFC 5987 wants it: everything but unreserved characters in percent form.
fn escaped(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

pub(super) async fn upload(
    State(tracking): State<Tracking>,
    Path(path): Path<String>,
    request: Request,
) -> Answer {
    let bytes = request
        .into_body()
        .into_data_stream()
        .map(|chunk| chunk.map_err(io::Error::other));
    tracking.put_artifact(path, Box::pin(bytes)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn remove(State(tracking): State<Tracking>, Path(path): Path<String>) -> Answer {
    tracking.delete_artifact(path).await?;
    Ok(Json(json!({})))
}

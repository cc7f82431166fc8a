//! `GET /data/versions/{version}` and the bytes of its files.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json, PageQuery, Path, Query};
use corliss_types::VersionId;
use http::header;
use serde::Serialize;
use tokio_util::io::ReaderStream;

use crate::{DataService, Entry, VersionSummary};

#[derive(Debug, Serialize)]
pub(super) struct VersionAnswer {
    #[serde(flatten)]
    summary: VersionSummary,
    entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// The page token is the last path of the page before.
pub(super) async fn detail(
    State(service): State<DataService>,
    Path(version): Path<VersionId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<VersionAnswer>, ApiError> {
    let limit = page.limit(1000, 10_000)? as usize;
    let summary = service.version(&version).await?;
    let tree = service.tree(&version).await?;
    let after = page.page_token.unwrap_or_default();
    let start = tree
        .entries()
        .partition_point(|entry| entry.path.as_str() <= after.as_str());
    let rest = &tree.entries()[start..];
    let entries: Vec<Entry> = rest.iter().take(limit).cloned().collect();
    let next_page_token = entries
        .last()
        .filter(|_| rest.len() > limit)
        .map(|entry| entry.path.to_string());
    Ok(Json(VersionAnswer {
        summary,
        entries,
        next_page_token,
    }))
}

/// The bytes, as a download: a page that somebody put into a dataset must not run as one of ours.
pub(super) async fn file(
    State(service): State<DataService>,
    Path((version, path)): Path<(VersionId, String)>,
) -> Result<Response, ApiError> {
    let (entry, reader) = service.open_file(&version, &path).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, reader.len.to_string()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "sandbox".to_owned()),
        (header::ETAG, format!("\"{}\"", entry.blob)),
    ];
    Ok((
        headers,
        Body::from_stream(ReaderStream::with_capacity(reader.bytes, 256 * 1024)),
    )
        .into_response())
}

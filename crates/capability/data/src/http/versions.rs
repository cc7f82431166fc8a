//! `/data/versions/{version}…`: the files of a version, its folders, what differs, and the bytes.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json, List, Path, Query};
use corliss_tabular::TableDiff;
use corliss_types::VersionId;
use http::header;
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;

use super::{Page, about, page, reference};
use crate::types::{DiffSummary, FileChange, FolderItem};
use crate::{DataService, Entry, Link, Preview, VersionSummary};

#[derive(Debug, Serialize)]
struct File {
    #[serde(flatten)]
    entry: Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    linked: Option<Link>,
}

#[derive(Debug, Serialize)]
pub(super) struct VersionAnswer {
    #[serde(flatten)]
    summary: VersionSummary,
    entries: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// The page token is the last path of the page before.
pub(super) async fn detail(
    State(service): State<DataService>,
    Path(version): Path<VersionId>,
    Query(query): Query<Page>,
) -> Result<Json<VersionAnswer>, ApiError> {
    let limit = query.limit(1000, 10_000)? as usize;
    let after = query.after()?;
    let summary = service.version(&version).await?;
    let entries = service.files(&version, &after, limit + 1).await?;
    let page = page(entries, limit, |last: &Entry| last.path.to_string());
    let files = service.with_links(page.items).await?.into_iter();
    Ok(Json(VersionAnswer {
        summary,
        entries: files.map(|(entry, linked)| File { entry, linked }).collect(),
        next_page_token: page.next_page_token,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderQuery {
    #[serde(default)]
    path: String,
    limit: Option<u32>,
    page_token: Option<String>,
}

/// The page token is the last name of the page before, with a `/` if it was a folder.
pub(super) async fn folder(
    State(service): State<DataService>,
    Path(version): Path<VersionId>,
    Query(query): Query<FolderQuery>,
) -> Result<Json<List<FolderItem>>, ApiError> {
    let paging = Page {
        limit: query.limit,
        page_token: query.page_token,
    };
    let limit = paging.limit(1000, 10_000)? as usize;
    let after = paging.after()?;
    let items = service.folder(&version, &query.path, &after, limit + 1).await?;
    Ok(Json(page(items, limit, |last: &FolderItem| match last.file {
        Some(_) => last.name.clone(),
        None => format!("{}/", last.name),
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    from: String,
    to: String,
    limit: Option<u32>,
    page_token: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct DiffAnswer {
    from: VersionId,
    to: VersionId,
    /// Of all that differs; only on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<DiffSummary>,
    #[serde(flatten)]
    page: List<FileChange>,
}

/// The page token is the last path of the page before.
pub(super) async fn diff(
    State(service): State<DataService>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<DiffAnswer>, ApiError> {
    let (from, to) = (reference("from", &query.from)?, reference("to", &query.to)?);
    let paging = Page {
        limit: query.limit,
        page_token: query.page_token,
    };
    let limit = paging.limit(1000, 10_000)? as usize;
    let after = paging.after()?;
    let from = service.resolve(&from).await.map_err(about("from"))?.version;
    let to = service.resolve(&to).await.map_err(about("to"))?.version;
    let changes = service.diff(&from, &to, &after, limit + 1).await?;
    let summary = match after.is_empty() {
        true => Some(service.diff_summary(&from, &to).await?),
        false => None,
    };
    let page = page(changes, limit, |last: &FileChange| last.path.to_string());
    Ok(Json(DiffAnswer {
        from,
        to,
        summary,
        page,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableQuery {
    from: String,
    to: String,
    path: String,
    /// Names of the columns that tell which row is which, with commas between them.
    #[serde(default)]
    key: String,
}

pub(super) async fn diff_table(
    State(service): State<DataService>,
    Query(query): Query<TableQuery>,
) -> Result<Json<TableDiff>, ApiError> {
    let (from, to) = (reference("from", &query.from)?, reference("to", &query.to)?);
    let from = service.resolve(&from).await.map_err(about("from"))?.version;
    let to = service.resolve(&to).await.map_err(about("to"))?.version;
    let key = query.key.split(',').filter(|column| !column.is_empty());
    let key = key.map(str::to_owned).collect();
    Ok(Json(service.diff_table(&from, &to, &query.path, key).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    #[serde(default)]
    offset: u64,
    limit: Option<u32>,
}

pub(super) async fn preview(
    State(service): State<DataService>,
    Path((version, path)): Path<(VersionId, String)>,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<Preview>, ApiError> {
    let page = Page {
        limit: query.limit,
        page_token: None,
    };
    let limit = page.limit(100, 1000)? as usize;
    let preview = service.preview(&version, &path, query.offset, limit);
    Ok(Json(preview.await?))
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

//! `/data/local/store` and `/data/local/lay-out`: files of a folder that the client has lent. Answers are lines of
//! JSON: how many bytes went by, now and then, and the outcome at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_blobstore::{BlobId, BlobInfo};
use corliss_diagnostics::ErrorReport;
use corliss_http::{ApiError, Json};
use corliss_types::VersionId;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::header;
use serde::{Deserialize, Serialize};

use super::about;
use crate::service::{LentFile, Passed};
use crate::{DataError, DataService, EntryPath};

/// Between two lines of progress.
const PAUSE: Duration = Duration::from_millis(200);
/// Files of one request.
const FILES_MAX: usize = 100_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    folder: String,
    files: Vec<EntryPath>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayOut {
    folder: String,
    /// Which has the linked files.
    version: Option<VersionId>,
    files: Vec<LentFile>,
}

#[derive(Debug, Serialize)]
struct StoredBlob {
    id: BlobId,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Bytes so far.
    Bytes(u64),
    /// In the order of the files.
    Stored(Vec<StoredBlob>),
    LaidOut(usize),
    Error(Box<ErrorReport>),
}

pub(super) async fn store(
    State(service): State<DataService>,
    Json(wanted): Json<Store>,
) -> Result<Response, ApiError> {
    check_count(wanted.files.len())?;
    let passed = Passed::default();
    let counted = Arc::clone(&passed);
    let work = async move {
        let stored = service.store_lent(&wanted.folder, wanted.files, &passed).await?;
        let blob = |blob: BlobInfo| StoredBlob {
            id: blob.id,
            size_bytes: blob.size_bytes,
        };
        Ok(Line::Stored(stored.into_iter().map(blob).collect()))
    };
    Ok(lines(work.boxed(), counted))
}

pub(super) async fn lay_out(
    State(service): State<DataService>,
    Json(wanted): Json<LayOut>,
) -> Result<Response, ApiError> {
    check_count(wanted.files.len())?;
    let passed = Passed::default();
    let counted = Arc::clone(&passed);
    let work = async move {
        let count = wanted.files.len();
        service
            .lay_out_lent(&wanted.folder, wanted.version.as_ref(), wanted.files, &passed)
            .await?;
        Ok(Line::LaidOut(count))
    };
    Ok(lines(work.boxed(), counted))
}

fn check_count(files: usize) -> Result<(), ApiError> {
    if files > FILES_MAX {
        let (what, limit) = ("files", FILES_MAX);
        return Err(about("files")(DataError::TooMany { what, limit }));
    }
    Ok(())
}

/// The work goes on as long as somebody reads its lines.
fn lines(work: BoxFuture<'static, Result<Line, DataError>>, passed: Passed) -> Response {
    let lines = stream::unfold(Some(work), move |work| {
        let passed = Arc::clone(&passed);
        async move {
            let mut work = work?;
            let line = tokio::select! {
                outcome = &mut work => {
                    let outcome = outcome.unwrap_or_else(|error| Line::Error(Box::new(ErrorReport::of(&error))));
                    return Some((outcome, None));
                }
                () = tokio::time::sleep(PAUSE) => Line::Bytes(passed.load(Ordering::Relaxed)),
            };
            Some((line, Some(work)))
        }
    });
    let bytes = lines.map(|line| {
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        Ok::<_, serde_json::Error>(bytes)
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (headers, Body::from_stream(bytes)).into_response()
}

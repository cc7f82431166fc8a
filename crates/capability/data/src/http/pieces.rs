//! `POST /data/blobs/missing`, `POST /data/pieces`, `POST /data/pieces/read`, `POST /data/blobs`.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use corliss_blobstore::BlobId;
use corliss_http::{ApiError, Json, RawBody};
use futures_util::{TryStreamExt, stream};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio_util::io::StreamReader;

use super::about;
use crate::DataService;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    ids: Vec<BlobId>,
}

#[derive(Debug, Serialize)]
pub(super) struct MissingAnswer {
    missing: Vec<BlobId>,
}

pub(super) async fn missing(
    State(service): State<DataService>,
    Json(question): Json<Ids>,
) -> Result<Json<MissingAnswer>, ApiError> {
    let missing = service.missing_blobs(question.ids).await;
    Ok(Json(MissingAnswer {
        missing: missing.map_err(about("ids"))?,
    }))
}

#[derive(Debug, Serialize)]
pub(super) struct StoredAnswer {
    stored: usize,
}

/// Durable when this answers; `stored` counts those that were new.
pub(super) async fn store(
    State(service): State<DataService>,
    RawBody(body): RawBody,
) -> Result<Json<StoredAnswer>, ApiError> {
    let stored = service.put_pieces(body).await?;
    Ok(Json(StoredAnswer { stored }))
}

/// As many of the pieces as one body holds, in the order asked for; whoever wants the rest asks again.
pub(super) async fn read(
    State(service): State<DataService>,
    Json(question): Json<Ids>,
) -> Result<Response, ApiError> {
    let parts = service.read_pieces(question.ids).await;
    let parts = parts.map_err(about("ids"))?;
    let len: usize = parts.iter().map(Bytes::len).sum();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, len.to_string()),
    ];
    let body = Body::from_stream(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)));
    Ok((headers, body).into_response())
}

#[derive(Debug, Serialize)]
pub(super) struct BlobAnswer {
    id: BlobId,
    size_bytes: u64,
}

/// One blob of any size as the whole body. 201 if the bytes are new, 200 if they were stored before.
pub(super) async fn upload(
    State(service): State<DataService>,
    body: Body,
) -> Result<(StatusCode, Json<BlobAnswer>), ApiError> {
    let mut bytes = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let stored = service.put_blob(&mut bytes).await?;
    let status = if stored.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let (id, size_bytes) = (stored.blob.id, stored.blob.size_bytes);
    Ok((status, Json(BlobAnswer { id, size_bytes })))
}

//! `POST /data/blobs/missing`, `PUT /data/blobs/{id}`.

use axum::body::Body;
use axum::extract::State;
use corliss_blobstore::BlobId;
use corliss_http::{ApiError, Json, Path};
use futures_util::TryStreamExt;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio_util::io::StreamReader;

use crate::DataService;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MissingQuestion {
    ids: Vec<BlobId>,
}

#[derive(Debug, Serialize)]
pub(super) struct MissingAnswer {
    missing: Vec<BlobId>,
}

pub(super) async fn missing(
    State(service): State<DataService>,
    Json(question): Json<MissingQuestion>,
) -> Result<Json<MissingAnswer>, ApiError> {
    Ok(Json(MissingAnswer {
        missing: service.missing_blobs(question.ids).await?,
    }))
}

#[derive(Debug, Serialize)]
pub(super) struct UploadAnswer {
    id: BlobId,
    size_bytes: u64,
}

/// 201 if the bytes are new, 200 if they were stored before.
pub(super) async fn upload(
    State(service): State<DataService>,
    Path(id): Path<BlobId>,
    body: Body,
) -> Result<(StatusCode, Json<UploadAnswer>), ApiError> {
    let mut bytes = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let stored = service.put_blob(id, &mut bytes).await?;
    let status = if stored.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(UploadAnswer {
            id,
            size_bytes: stored.blob.size_bytes,
        }),
    ))
}

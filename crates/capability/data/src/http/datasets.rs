//! `GET /data/datasets…`, `POST /data/datasets/{name}/versions`.

use axum::extract::State;
use corliss_http::{ApiError, Json, List, PageQuery, Path, Query};
use corliss_types::DatasetName;
use http::StatusCode;
use serde::Deserialize;

use crate::types::{Committed, DatasetDetail, DatasetSummary};
use crate::{DataService, Entry, Tree};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVersion {
    entries: Vec<Entry>,
    #[serde(default)]
    message: String,
}

/// 201 if the dataset's name was moved, 200 if it pointed there already.
pub(super) async fn commit(
    State(service): State<DataService>,
    Path(name): Path<DatasetName>,
    Json(new): Json<NewVersion>,
) -> Result<(StatusCode, Json<Committed>), ApiError> {
    let committed = service
        .commit(Some(name), Tree::new(new.entries)?, &new.message)
        .await?;
    let status = if committed.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(committed)))
}

/// The page token is the last name of the page before.
pub(super) async fn list(
    State(service): State<DataService>,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<DatasetSummary>>, ApiError> {
    let limit = page.limit(100, 1000)?;
    let mut items = service
        .datasets(page.page_token.as_deref().unwrap_or_default(), limit + 1)
        .await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_page_token = items.last().filter(|_| more).map(|last| last.name.to_string());
    Ok(Json(List {
        items,
        next_page_token,
    }))
}

pub(super) async fn detail(
    State(service): State<DataService>,
    Path(name): Path<DatasetName>,
) -> Result<Json<DatasetDetail>, ApiError> {
    Ok(Json(service.dataset(&name).await?))
}

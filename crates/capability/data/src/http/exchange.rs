//! What another server asks for that pushes here or pulls from here: `/data/datasets/{name}/refs` and
//! `…/history…`.

use axum::extract::State;
use corliss_http::{ApiError, Caller, Json, Path};
use corliss_types::{CommitId, DatasetName};
use serde::{Deserialize, Serialize};

use crate::history::Commit;
use crate::remote::{RefsUpdate, RemoteRefs};
use crate::service::Mover;
use crate::{DataError, DataService};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    commits: Vec<CommitId>,
}

#[derive(Debug, Serialize)]
pub(super) struct Missing {
    missing: Vec<CommitId>,
}

/// Of one that is recorded, all before it are.
pub(super) async fn missing(
    State(service): State<DataService>,
    Path(_): Path<DatasetName>,
    Json(asked): Json<Asked>,
) -> Result<Json<Missing>, ApiError> {
    let missing = service.missing_commits(asked.commits).await?;
    Ok(Json(Missing { missing }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    from: Vec<CommitId>,
    limit: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commits {
    commits: Vec<Commit>,
}

/// Newest first; fewer than asked for if the page is full.
pub(super) async fn read(
    State(service): State<DataService>,
    Path(dataset): Path<DatasetName>,
    Json(from): Json<From>,
) -> Result<Json<Commits>, ApiError> {
    if from.from.len() > crate::remote::HISTORY_PAGE {
        let (what, limit) = ("commits", crate::remote::HISTORY_PAGE);
        return Err(DataError::TooMany { what, limit }.into());
    }
    let found = service.history(&dataset, &from.from, from.limit.max(1)).await?;
    let commits = found.into_iter().map(|info| info.what).collect();
    Ok(Json(Commits { commits }))
}

#[derive(Debug, Serialize)]
pub(super) struct Stored {
    stored: usize,
}

/// Parents first. They belong to no dataset until a name points at them.
pub(super) async fn store(
    State(service): State<DataService>,
    Path(_): Path<DatasetName>,
    Json(new): Json<Commits>,
) -> Result<Json<Stored>, ApiError> {
    let stored = service.store_commits(new.commits).await?;
    Ok(Json(Stored { stored }))
}

pub(super) async fn refs(
    State(service): State<DataService>,
    Path(dataset): Path<DatasetName>,
) -> Result<Json<RemoteRefs>, ApiError> {
    Ok(Json(service.all_refs(&dataset).await?))
}

/// All names move, or none. What points there already is left as it is.
pub(super) async fn update_refs(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(update): Json<RefsUpdate>,
) -> Result<Json<RemoteRefs>, ApiError> {
    let mover = Mover {
        author: caller.name,
        action: "push",
        is_merge: false,
    };
    service.update_refs(&dataset, update, mover).await?;
    Ok(Json(service.all_refs(&dataset).await?))
}

//! Pushes, pulls and clones, which run in the background, and everything that does: `/data/datasets/{name}/push` and
//! `…/pull`, `/data/clones`, `/data/operations…`, `/data/remotes…`.

use axum::extract::State;
use corliss_http::{ApiError, Caller, Json, List, Path, Query};
use corliss_types::{DatasetName, Principal};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Page, page};
use crate::remote::RemoteInfo;
use crate::service::{Kind, Operation, Start};
use crate::{DataService, RefName, Transfer};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    remote: String,
    /// What the dataset is called there.
    remote_dataset: Option<DatasetName>,
    branches: Option<Vec<RefName>>,
    tags: Option<Vec<RefName>>,
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClone {
    remote: String,
    dataset: DatasetName,
    name: Option<DatasetName>,
}

fn start(
    service: &DataService,
    caller: Principal,
    kind: Kind,
    dataset: DatasetName,
    wanted: Wanted,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let started = service.start_transfer(Start {
        kind,
        remote: wanted.remote,
        transfer: Transfer {
            dataset,
            remote_dataset: wanted.remote_dataset,
            branches: wanted.branches,
            tags: wanted.tags,
            force: wanted.force,
        },
        author: caller.name,
    })?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

pub(super) async fn push(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    start(&service, caller, Kind::Push, dataset, wanted)
}

pub(super) async fn pull(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    start(&service, caller, Kind::Pull, dataset, wanted)
}

pub(super) async fn clone(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Json(new): Json<NewClone>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let name = new.name.unwrap_or_else(|| new.dataset.clone());
    let wanted = Wanted {
        remote: new.remote,
        remote_dataset: Some(new.dataset),
        branches: None,
        tags: None,
        force: false,
    };
    start(&service, caller, Kind::Clone, name, wanted)
}

pub(super) async fn operations(State(service): State<DataService>) -> Json<List<Operation>> {
    Json(List::all(service.operations()))
}

pub(super) async fn operation(
    State(service): State<DataService>,
    Path(id): Path<String>,
) -> Result<Json<Operation>, ApiError> {
    Ok(Json(service.operation(&id)?))
}

/// Answers it as it is then; one that had ended is left as it was.
pub(super) async fn cancel(
    State(service): State<DataService>,
    Path(id): Path<String>,
) -> Result<Json<Operation>, ApiError> {
    Ok(Json(service.cancel_operation(&id)?))
}

pub(super) async fn remotes(State(service): State<DataService>) -> Json<List<RemoteInfo>> {
    Json(List::all(service.remote_list()))
}

#[derive(Debug, Serialize)]
pub(super) struct RemoteDataset {
    name: DatasetName,
}

/// The page token is the last name of the page before.
pub(super) async fn remote_datasets(
    State(service): State<DataService>,
    Path(remote): Path<String>,
    Query(query): Query<Page>,
) -> Result<Json<List<RemoteDataset>>, ApiError> {
    let limit = query.limit(100, 1000)? as usize;
    let after = query.after()?;
    let names = service.remote_datasets(&remote, &after, limit + 1).await?;
    let items = names.into_iter().map(|name| RemoteDataset { name }).collect();
    Ok(Json(page(items, limit, |last: &RemoteDataset| {
        last.name.to_string()
    })))
}

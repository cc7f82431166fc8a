//! `/data/datasets…`: datasets, and commits to their branches.

use axum::extract::State;
use corliss_http::{ApiError, Caller, Json, List, Path, Query};
use corliss_types::{CommitId, DatasetName, Principal, VersionId};
use http::StatusCode;
use serde::Deserialize;

use super::{Page, about, page};
use crate::types::{Committed, DatasetDetail, DatasetSummary};
use crate::{DataError, DataService, Edit, RefName, Signature, Target};

/// Either the tree that the branch is to have, or what is to change in the one that it has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCommit {
    version: Option<VersionId>,
    edits: Option<Vec<Edit>>,
    branch: Option<RefName>,
    expected: Option<CommitId>,
    #[serde(default)]
    message: String,
}

/// 201 if there is a new commit, 200 if the branch had this version already.
pub(super) async fn commit(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(new): Json<NewCommit>,
) -> Result<(StatusCode, Json<Committed>), ApiError> {
    let target = Target {
        dataset,
        branch: new.branch,
        expected: new.expected,
    };
    let by = signature(&caller, new.message);
    let committed = match (new.version, new.edits) {
        (Some(version), None) => {
            let committed = service.commit(&target, &version, by).await;
            committed.map_err(about("version"))?
        }
        (None, Some(edits)) => {
            let committed = service.commit_edits(&target, edits, by).await;
            committed.map_err(about("edits"))?
        }
        _ => return Err(DataError::VersionOrEdits.into()),
    };
    let status = if committed.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(committed)))
}

pub(super) fn signature(caller: &Principal, message: String) -> Signature {
    Signature {
        author: caller.name.clone(),
        message,
    }
}

/// The page token is the last name of the page before.
pub(super) async fn list(
    State(service): State<DataService>,
    Query(query): Query<Page>,
) -> Result<Json<List<DatasetSummary>>, ApiError> {
    let limit = query.limit(100, 1000)?;
    let items = service.datasets(&query.after()?, limit + 1).await?;
    Ok(Json(page(items, limit as usize, |last| last.name.to_string())))
}

pub(super) async fn detail(
    State(service): State<DataService>,
    Path(name): Path<DatasetName>,
) -> Result<Json<DatasetDetail>, ApiError> {
    Ok(Json(service.dataset(&name).await?))
}

/// What of a dataset can be changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetChange {
    retention_days: Option<u64>,
}

pub(super) async fn change(
    State(service): State<DataService>,
    Path(name): Path<DatasetName>,
    Json(change): Json<DatasetChange>,
) -> Result<Json<DatasetSummary>, ApiError> {
    Ok(Json(service.set_retention(&name, change.retention_days).await?))
}

pub(super) async fn delete(
    State(service): State<DataService>,
    Path(name): Path<DatasetName>,
) -> Result<StatusCode, ApiError> {
    service.delete_dataset(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

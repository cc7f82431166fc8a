//! `/data/datasets/{name}/…`: branches, tags, merges and reverts; `/data/log` and `/data/resolve`.

use axum::extract::State;
use corliss_http::{ApiError, Caller, Json, List, Path, Query};
use corliss_types::{CommitId, DatasetName, Principal, VersionId};
use http::StatusCode;
use serde::Deserialize;

use super::datasets::signature;
use super::{Page, about, page, reference};
use crate::types::{Committed, ConflictPolicy, Merged, RefInfo, Resolved};
use crate::{CommitInfo, DataError, DataService, RefKind, RefName, Reference, Signature, Target};

/// A reference in a query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    reference: String,
}

pub(super) async fn resolve(
    State(service): State<DataService>,
    Query(which): Query<Which>,
) -> Result<Json<Resolved>, ApiError> {
    let wanted = reference("reference", &which.reference)?;
    let resolved = service.resolve(&wanted).await;
    Ok(Json(resolved.map_err(about("reference"))?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    reference: String,
    limit: Option<u32>,
    page_token: Option<String>,
}

/// Newest first; the page token is how many commits the pages before had.
pub(super) async fn log(
    State(service): State<DataService>,
    Query(query): Query<LogQuery>,
) -> Result<Json<List<CommitInfo>>, ApiError> {
    let wanted = reference("reference", &query.reference)?;
    let paging = Page {
        limit: query.limit,
        page_token: query.page_token,
    };
    let limit = paging.limit(100, 1000)? as usize;
    let skip: usize = match paging.after()?.as_str() {
        "" => 0,
        token => token.parse().map_err(|_| DataError::BadPageToken)?,
    };
    let resolved = service.resolve(&wanted).await.map_err(about("reference"))?;
    let commit = resolved.commit.ok_or(DataError::NoCommit {
        version: resolved.version,
    });
    let commit = commit.map_err(about("reference"))?;
    let items = service.log(&commit, skip, limit + 1).await;
    let items = items.map_err(about("page_token"))?;
    Ok(Json(page(items, limit, |_| (skip + limit).to_string())))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRef {
    name: RefName,
    /// A reference; the head of the default branch if none is named.
    at: Option<String>,
}

/// What the text of a field means within a dataset: a branch, a tag, an id, or a whole reference.
fn reference_in(dataset: &DatasetName, field: &'static str, text: &str) -> Result<Reference, ApiError> {
    let is_id = text.parse::<CommitId>().is_ok() || text.parse::<VersionId>().is_ok();
    if is_id || text.contains('@') {
        reference(field, text)
    } else {
        reference(field, &format!("{dataset}@{text}"))
    }
}

async fn list(
    service: &DataService,
    dataset: &DatasetName,
    kind: RefKind,
    query: Page,
) -> Result<Json<List<RefInfo>>, ApiError> {
    let limit = query.limit(100, 1000)?;
    let items = service.refs(dataset, kind, &query.after()?, limit + 1).await?;
    Ok(Json(page(items, limit as usize, |last| last.name.to_string())))
}

pub(super) async fn branches(
    State(service): State<DataService>,
    Path(dataset): Path<DatasetName>,
    Query(query): Query<Page>,
) -> Result<Json<List<RefInfo>>, ApiError> {
    list(&service, &dataset, RefKind::Branch, query).await
}

pub(super) async fn tags(
    State(service): State<DataService>,
    Path(dataset): Path<DatasetName>,
    Query(query): Query<Page>,
) -> Result<Json<List<RefInfo>>, ApiError> {
    list(&service, &dataset, RefKind::Tag, query).await
}

async fn create(
    service: &DataService,
    caller: &Principal,
    dataset: &DatasetName,
    kind: RefKind,
    new: NewRef,
) -> Result<(StatusCode, Json<RefInfo>), ApiError> {
    let at = match &new.at {
        Some(at) => reference_in(dataset, "at", at)?,
        None => Reference::latest(dataset.clone()),
    };
    let info = service
        .create_ref(dataset, kind, &new.name, &at, &caller.name)
        .await
        .map_err(about("at"))?;
    Ok((StatusCode::CREATED, Json(info)))
}

pub(super) async fn create_branch(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(new): Json<NewRef>,
) -> Result<(StatusCode, Json<RefInfo>), ApiError> {
    create(&service, &caller, &dataset, RefKind::Branch, new).await
}

pub(super) async fn create_tag(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(new): Json<NewRef>,
) -> Result<(StatusCode, Json<RefInfo>), ApiError> {
    create(&service, &caller, &dataset, RefKind::Tag, new).await
}

/// Either where the branch is to point, or whether it is protected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BranchChange {
    to: Option<String>,
    expected: Option<CommitId>,
    protected: Option<bool>,
}

pub(super) async fn change_branch(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path((dataset, branch)): Path<(DatasetName, String)>,
    Json(change): Json<BranchChange>,
) -> Result<Json<RefInfo>, ApiError> {
    let branch: RefName = branch.parse()?;
    if let Some(to) = &change.to {
        let to = reference_in(&dataset, "to", to)?;
        service
            .move_branch(&dataset, &branch, &to, change.expected.as_ref(), &caller.name)
            .await
            .map_err(about("to"))?;
    } else if change.expected.is_some() {
        return Err(DataError::ExpectedWithoutTo.into());
    }
    let protected = change.protected;
    match protected {
        Some(protected) => Ok(Json(service.protect_branch(&dataset, &branch, protected).await?)),
        None => Ok(Json(service.branch(&dataset, &branch).await?)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    expected: Option<CommitId>,
}

async fn remove(
    service: &DataService,
    caller: &Principal,
    dataset: &DatasetName,
    kind: RefKind,
    name: &str,
    expected: Expected,
) -> Result<Json<RefInfo>, ApiError> {
    let name: RefName = name.parse()?;
    let info = service
        .delete_ref(dataset, kind, &name, expected.expected.as_ref(), &caller.name)
        .await?;
    Ok(Json(info))
}

/// Answers where it pointed.
pub(super) async fn delete_branch(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path((dataset, name)): Path<(DatasetName, String)>,
    Query(expected): Query<Expected>,
) -> Result<Json<RefInfo>, ApiError> {
    remove(&service, &caller, &dataset, RefKind::Branch, &name, expected).await
}

/// Answers where it pointed.
pub(super) async fn delete_tag(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path((dataset, name)): Path<(DatasetName, String)>,
    Query(expected): Query<Expected>,
) -> Result<Json<RefInfo>, ApiError> {
    remove(&service, &caller, &dataset, RefKind::Tag, &name, expected).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// What is merged, taken back or taken over.
    from: String,
    branch: Option<RefName>,
    expected: Option<CommitId>,
    #[serde(default)]
    on_conflict: ConflictPolicy,
    /// A commit even where moving the branch forward would do.
    #[serde(default)]
    always_commit: bool,
    #[serde(default)]
    message: String,
}

/// What a request of one of the three verbs comes to.
struct Plan {
    target: Target,
    from: Reference,
    policy: ConflictPolicy,
    always_commit: bool,
    by: Signature,
}

impl Merge {
    fn plan(self, dataset: DatasetName, caller: &Principal, verb: &str) -> Result<Plan, ApiError> {
        let message = if self.message.is_empty() {
            format!("{verb} {}", self.from)
        } else {
            self.message
        };
        Ok(Plan {
            from: reference_in(&dataset, "from", &self.from)?,
            target: Target {
                dataset,
                branch: self.branch,
                expected: self.expected,
            },
            policy: self.on_conflict,
            always_commit: self.always_commit,
            by: signature(caller, message),
        })
    }
}

pub(super) async fn merge(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(merge): Json<Merge>,
) -> Result<Json<Merged>, ApiError> {
    let plan = merge.plan(dataset, &caller, "Merge")?;
    let merged = service
        .merge(&plan.target, &plan.from, plan.policy, plan.always_commit, plan.by)
        .await
        .map_err(about("from"))?;
    Ok(Json(merged))
}

pub(super) async fn revert(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(merge): Json<Merge>,
) -> Result<Json<Committed>, ApiError> {
    let plan = merge.plan(dataset, &caller, "Revert")?;
    let committed = service
        .revert(&plan.target, &plan.from, plan.policy, plan.by)
        .await
        .map_err(about("from"))?;
    Ok(Json(committed))
}

pub(super) async fn cherry_pick(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(merge): Json<Merge>,
) -> Result<Json<Committed>, ApiError> {
    let plan = merge.plan(dataset, &caller, "Cherry-pick")?;
    let committed = service
        .cherry_pick(&plan.target, &plan.from, plan.policy, plan.by)
        .await
        .map_err(about("from"))?;
    Ok(Json(committed))
}

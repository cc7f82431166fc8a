//! Submitting, listing, showing, cancelling and repeating runs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Caller, Json, List, PageQuery, Path, Query};
use corliss_policy_pipeline::RunState;
use corliss_types::{RunId, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error::PipelinesError;
use crate::project_file;
use crate::types::{RunDetail, RunSummary};
use crate::{Foreseen, NewRun, Pipelines};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

#[derive(Serialize)]
struct Created {
    id: RunId,
}

fn accepted(id: RunId) -> Response {
    (StatusCode::ACCEPTED, Json(Created { id })).into_response()
}

/// A file's problems go beside the error, so that a client can list each with its place.
fn refusal(error: PipelinesError) -> ApiError {
    let problems = match &error {
        PipelinesError::ProjectFile { problems } => serde_json::to_value(problems).ok(),
        _ => None,
    };
    let error = ApiError::from(error);
    match problems {
        Some(problems) => error.with_extra("problems", problems),
        None => error,
    }
}

/// An id that is not one names no run.
pub(super) fn run_id(text: &str) -> Result<RunId, ApiError> {
    text.parse().map_err(|_| {
        PipelinesError::RunNotFound {
            run: text.chars().take(80).collect(),
        }
        .into()
    })
}

pub(super) async fn create(
    State(pipelines): State<Arc<Pipelines>>,
    Caller(principal): Caller,
    Json(new): Json<NewRun>,
) -> Result<Response, ApiError> {
    let id = pipelines.create_run(new, &principal).await.map_err(refusal)?;
    Ok(accepted(id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validate {
    project_file: String,
    /// For the client's own messages; a problem's place is within the file.
    #[serde(default, rename = "file_name")]
    _file_name: Option<String>,
    /// As of a run.
    #[serde(default)]
    begin_ms: Option<Timestamp>,
}

pub(super) async fn validate(
    State(pipelines): State<Arc<Pipelines>>,
    Caller(principal): Caller,
    Json(request): Json<Validate>,
) -> Result<Json<Foreseen>, ApiError> {
    let foreseen = pipelines.foresee(&request.project_file, request.begin_ms, &principal);
    Ok(Json(foreseen.await?))
}

#[derive(Deserialize)]
pub(super) struct Filter {
    state: Option<String>,
}

pub(super) async fn list(
    State(pipelines): State<Arc<Pipelines>>,
    Query(page): Query<PageQuery>,
    Query(filter): Query<Filter>,
) -> Result<Json<List<RunSummary>>, ApiError> {
    let limit = page.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
    let state = filter.state.as_deref().map(state_named).transpose()?;
    let before = page.page_token.as_deref().map(token).transpose()?;
    let mut items = pipelines.runs(state, before, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_page_token = items.last().filter(|_| more).map(|run| run.id.to_string());
    Ok(Json(List {
        items,
        next_page_token,
    }))
}

fn state_named(name: &str) -> Result<RunState, ApiError> {
    RunState::from_name(name).ok_or_else(|| {
        let names = RunState::ALL.map(RunState::as_str).join(", ");
        ApiError::new(
            Meaning::InvalidInput,
            "state_unknown",
            format!("'{name}' is not a state of runs"),
        )
        .with_field("state")
        .with_hint(format!("one of {names}"))
    })
}

fn token(text: &str) -> Result<RunId, ApiError> {
    text.parse().map_err(|_| {
        ApiError::new(
            Meaning::InvalidInput,
            "page_token_invalid",
            "the page token is not one of ours",
        )
        .with_field("page_token")
    })
}

pub(super) async fn detail(
    State(pipelines): State<Arc<Pipelines>>,
    Path(id): Path<String>,
) -> Result<Json<RunDetail>, ApiError> {
    Ok(Json(pipelines.run(&run_id(&id)?).await?))
}

pub(super) async fn cancel(
    State(pipelines): State<Arc<Pipelines>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = run_id(&id)?;
    pipelines.cancel_run(&id).await?;
    Ok(accepted(id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rerun {
    #[serde(default)]
    from_step: Option<String>,
}

pub(super) async fn rerun(
    State(pipelines): State<Arc<Pipelines>>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Json(request): Json<Rerun>,
) -> Result<Response, ApiError> {
    let id = run_id(&id)?;
    let new = pipelines
        .rerun(&id, request.from_step.as_deref(), &principal)
        .await
        .map_err(refusal)?;
    Ok(accepted(new))
}

pub(super) async fn schema() -> Json<serde_json::Value> {
    Json(project_file::json_schema())
}

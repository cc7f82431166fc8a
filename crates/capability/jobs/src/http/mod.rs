//! Jobs over the native API. Handlers parse, call the service and answer; they decide nothing.

mod follow;
mod query;
mod views;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use corliss_http::{ApiError, Dialect, Json, List, Path, Query, Routes};
use corliss_types::{Access, JobId, Permission};
use http::Method;

use crate::{
    Drained, Effect, JobState, Jobs, JobsError, NodeSettings, NodesView, QueueSettings, QueuesView, Usage,
    Why,
};
use query::{AskUsage, Drain, DryRun, ListQuery, LogsQuery};
use views::{JobView, LogsView, QueueAnswer};

type Shared = State<Arc<Jobs>>;

/// All routes of jobs.
#[must_use]
pub fn routes(jobs: &Arc<Jobs>) -> Routes {
    let read = Access::Requires(Permission::JobsRead);
    let write = Access::Requires(Permission::JobsWrite);
    let manage = Access::Requires(Permission::QueuesManage);
    let native = Dialect::Native;
    let state = |router: axum::routing::MethodRouter<Arc<Jobs>>| router.with_state(jobs.clone());
    Routes::new()
        .route(Method::GET, "/api/v1/jobs", read, native, state(get(list)))
        .route(Method::GET, "/api/v1/jobs/{id}", read, native, state(get(show)))
        .route(
            Method::GET,
            "/api/v1/jobs/{id}/why",
            read,
            native,
            state(get(why)),
        )
        .route(
            Method::POST,
            "/api/v1/jobs/{id}/cancel",
            write,
            native,
            state(post(cancel)),
        )
        .route(
            Method::GET,
            "/api/v1/jobs/{id}/logs",
            read,
            native,
            state(get(logs)),
        )
        .streaming()
        .route(Method::GET, "/api/v1/queue", read, native, state(get(queue)))
        .route(Method::GET, "/api/v1/usage", read, native, state(get(usage)))
        .route(Method::GET, "/api/v1/queues", read, native, state(get(queues)))
        .route(
            Method::PUT,
            "/api/v1/queues",
            manage,
            native,
            state(put(set_queues)),
        )
        .route(Method::GET, "/api/v1/nodes", read, native, state(get(nodes)))
        .route(
            Method::PUT,
            "/api/v1/nodes",
            manage,
            native,
            state(put(set_nodes)),
        )
        .route(
            Method::POST,
            "/api/v1/nodes/{name}/drain",
            manage,
            native,
            state(post(drain)),
        )
        .route(
            Method::POST,
            "/api/v1/nodes/{name}/undrain",
            manage,
            native,
            state(post(undrain)),
        )
}

/// An id that cannot be one names no job.
fn id(text: &str) -> Result<JobId, JobsError> {
    text.parse().map_err(|_| JobsError::NotFound {
        job: text.chars().take(80).collect(),
    })
}

async fn list(State(jobs): Shared, Query(query): Query<ListQuery>) -> Result<Json<List<JobView>>, ApiError> {
    let (filter, limit) = query.parse()?;
    let page = jobs.list(filter, limit).await?;
    Ok(Json(List {
        items: page.jobs.iter().map(JobView::of).collect(),
        next_page_token: page.next.map(|id| id.to_string()),
    }))
}

async fn show(State(jobs): Shared, Path(text): Path<String>) -> Result<Json<JobView>, ApiError> {
    Ok(Json(JobView::of(&jobs.get(&id(&text)?).await?)))
}

async fn why(State(jobs): Shared, Path(text): Path<String>) -> Result<Json<Why>, ApiError> {
    Ok(Json(jobs.why(&id(&text)?).await?))
}

async fn cancel(State(jobs): Shared, Path(text): Path<String>) -> Result<Json<JobView>, ApiError> {
    let job = jobs.cancel(&id(&text)?).await?;
    match job.state {
        JobState::Succeeded | JobState::Failed => Err(JobsError::Ended {
            job: job.id,
            state: job.state.as_str(),
        }
        .into()),
        _ => Ok(Json(JobView::of(&job))),
    }
}

async fn queue(State(jobs): Shared) -> Result<Json<QueueAnswer>, ApiError> {
    let view = jobs.queue().await?;
    Ok(Json(QueueAnswer::of(&view, &jobs.inventory)))
}

async fn usage(State(jobs): Shared, Query(query): Query<AskUsage>) -> Result<Json<Usage>, ApiError> {
    let query = query.parse(jobs.sources.clock.now())?;
    Ok(Json(jobs.usage(query).await?))
}

async fn queues(State(jobs): Shared) -> Result<Json<QueuesView>, ApiError> {
    Ok(Json(jobs.queues().await?))
}

/// Answers what the change does at once; with `dry_run`, what it would do.
async fn set_queues(
    State(jobs): Shared,
    Query(query): Query<DryRun>,
    Json(settings): Json<QueueSettings>,
) -> Result<Json<Effect>, ApiError> {
    let effect = jobs.preview_queues(settings.clone()).await?;
    if !query.dry_run {
        jobs.set_queues(settings).await?;
    }
    Ok(Json(effect))
}

async fn nodes(State(jobs): Shared) -> Result<Json<NodesView>, ApiError> {
    Ok(Json(jobs.nodes().await?))
}

/// Answers what the change does at once; with `dry_run`, what it would do.
async fn set_nodes(
    State(jobs): Shared,
    Query(query): Query<DryRun>,
    Json(settings): Json<NodeSettings>,
) -> Result<Json<Effect>, ApiError> {
    let effect = jobs.preview_nodes(settings.clone()).await?;
    if !query.dry_run {
        jobs.set_nodes(settings).await?;
    }
    Ok(Json(effect))
}

async fn drain(
    State(jobs): Shared,
    Path(name): Path<String>,
    Json(how): Json<Drain>,
) -> Result<Json<Drained>, ApiError> {
    Ok(Json(jobs.drain(&name, how.evict).await?))
}

async fn undrain(State(jobs): Shared, Path(name): Path<String>) -> Result<Json<NodesView>, ApiError> {
    jobs.undrain(&name).await?;
    Ok(Json(jobs.nodes().await?))
}

async fn logs(
    State(jobs): Shared,
    Path(text): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, ApiError> {
    let id = id(&text)?;
    let request = query.parse()?;
    let first = jobs.logs(&id, request.clone()).await?;
    if query.follow.unwrap_or(false) {
        return Ok(follow::follow(jobs, id, request, first));
    }
    Ok(Json(LogsView::of(first)).into_response())
}

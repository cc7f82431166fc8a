//! Removing for good what was deleted.

use axum::extract::State;
use axum::routing::{get, post};
use corliss_http::{ApiError, Dialect, Json, PageQuery, Path, Query, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::Tracking;
use crate::service::{ArtifactTable, Purge};

pub(super) fn routes(tracking: Tracking) -> Routes {
    Routes::new()
        .route(
            Method::POST,
            "/api/v1/tracking/purge",
            Access::Requires(Permission::SystemAdmin),
            Dialect::Native,
            post(purge).with_state(tracking.clone()),
        )
        .route(
            Method::GET,
            "/api/v1/tracking/tables/{*path}",
            Access::Requires(Permission::TrackingRead),
            Dialect::Native,
            get(table).with_state(tracking),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Rows to pass over.
    #[serde(default)]
    offset: u64,
    /// Rows of the answer.
    limit: Option<u32>,
}

/// Rows of a stored table, named by the path of its artifact.
async fn table(
    State(tracking): State<Tracking>,
    Path(path): Path<String>,
    Query(part): Query<Part>,
) -> Result<Json<ArtifactTable>, ApiError> {
    let page = PageQuery {
        limit: part.limit,
        page_token: None,
    };
    let limit = page.limit(100, 1000)? as usize;
    Ok(Json(tracking.artifact_table(path, part.offset, limit).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// What was deleted since stays.
    #[serde(default)]
    older_than_seconds: u64,
    /// Of these experiments; of all, if there are none.
    #[serde(default)]
    experiment_ids: Vec<i64>,
    /// Count, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    runs: u64,
    logged_models: u64,
    experiments: u64,
    traces: u64,
    artifacts: u64,
    artifact_bytes: u64,
    more: bool,
}

async fn purge(State(tracking): State<Tracking>, Json(wish): Json<Wish>) -> Result<Json<Answer>, ApiError> {
    let purged = tracking
        .purge(Purge {
            older_than_ms: wish.older_than_seconds.saturating_mul(1000),
            experiment_ids: wish.experiment_ids,
            dry_run: wish.dry_run,
        })
        .await?;
    Ok(Json(Answer {
        dry_run: wish.dry_run,
        runs: purged.runs,
        logged_models: purged.logged_models,
        experiments: purged.experiments,
        traces: purged.traces,
        artifacts: purged.artifacts,
        artifact_bytes: purged.artifact_bytes,
        more: purged.more,
    }))
}

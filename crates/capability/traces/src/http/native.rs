//! What Corliss's own pages ask of traces and MLflow's dialect has no answer to.

use axum::extract::State;
use axum::routing::get;
use corliss_http::{ApiError, Dialect, Json, List, PageQuery, Path, Query, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde::Serialize;

use crate::Traces;

const PAGE: u32 = 20;
const PAGE_MAX: u32 = 1000;

pub(super) fn routes(traces: Traces) -> Routes {
    Routes::new().route(
        Method::GET,
        "/api/v1/tracking/traces/{trace_id}/runs",
        Access::Requires(Permission::TrackingRead),
        Dialect::Native,
        get(runs).with_state(traces),
    )
}

#[derive(Serialize)]
struct LinkedRun {
    run_id: String,
}

/// The runs that a trace belongs to: the one that made it, which its metadata names, and those that it was linked to.
async fn runs(
    State(traces): State<Traces>,
    Path(trace_id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<LinkedRun>>, ApiError> {
    let limit = page.limit(PAGE, PAGE_MAX)?;
    let after = page.page_token.unwrap_or_default();
    let found = traces.runs_of(trace_id, after, limit).await?;
    Ok(Json(List {
        items: found
            .items
            .into_iter()
            .map(|run_id| LinkedRun { run_id })
            .collect(),
        next_page_token: found.next_page_token,
    }))
}

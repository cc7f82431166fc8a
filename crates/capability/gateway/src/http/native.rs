//! Native routes: what the gateway did with the requests of an endpoint.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use corliss_http::{ApiError, Dialect, Json, List, Path, Query, Routes};
use corliss_types::{Access, Permission};
use http::{Method, header};
use serde::{Deserialize, Serialize};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::engines::EngineView;
use crate::service::record::RequestRecord;
use crate::service::stats::EndpointStats;

const READ: Access = Access::Requires(Permission::EndpointsRead);
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

pub(super) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let state = || gateway.clone();
    Routes::new()
        .route(
            Method::GET,
            "/api/v1/endpoints/{name}/stats",
            READ,
            Dialect::Native,
            get(stats).with_state(state()),
        )
        .route(
            Method::GET,
            "/api/v1/endpoints/{name}/requests",
            READ,
            Dialect::Native,
            get(requests).with_state(state()),
        )
        .route(
            Method::GET,
            "/metrics",
            Access::Requires(Permission::SystemRead),
            Dialect::Native,
            get(metrics).with_state(state()),
        )
}

/// For Prometheus, which sends its token as `authorization: Bearer`.
async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, gateway.metrics().await)
}

/// What the gateway counted, and what engines say of themselves.
#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    endpoint: EndpointStats,
    /// Of language models, those that answer.
    engines: Vec<EngineView>,
}

async fn stats(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<Json<Counted>, ApiError> {
    let endpoint = gateway.endpoint(&name).map_err(GatewayError::into_native)?;
    Ok(Json(Counted {
        endpoint: endpoint.stats(),
        engines: endpoint.engine_views().await,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Newest {
    /// How many at most, as it was written.
    limit: Option<String>,
}

impl Newest {
    fn limit(&self) -> Result<usize, GatewayError> {
        let Some(text) = &self.limit else {
            return Ok(LIMIT);
        };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| GatewayError::InvalidParameter {
            parameter: "limit".to_owned(),
            reason: format!("must be a whole number from 1 to {LIMIT_MAX}, as limit={LIMIT}"),
        })
    }
}

/// The newest requests that have ended, newest first.
async fn requests(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Query(newest): Query<Newest>,
) -> Result<Json<List<RequestRecord>>, ApiError> {
    let endpoint = gateway.endpoint(&name).map_err(GatewayError::into_native)?;
    let limit = newest.limit().map_err(GatewayError::into_native)?;
    Ok(Json(List::all(endpoint.records.newest(limit))))
}

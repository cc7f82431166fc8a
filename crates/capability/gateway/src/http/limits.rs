//! Native routes: limits of callers. Everybody may see their own.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use corliss_http::{ApiError, Caller, Dialect, Json, List, Path, Routes};
use corliss_policy_serving::limits::Limits;
use corliss_types::{Access, Permission};
use http::{Method, StatusCode};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::quota::QuotaView;

const MANAGE: Access = Access::Requires(Permission::SystemAdmin);
const ALL: &str = "/api/v1/limits";
const ONE: &str = "/api/v1/limits/{name}";
const OWN: &str = "/api/v1/own-limits";

pub(super) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let state = || gateway.clone();
    Routes::new()
        .route(
            Method::GET,
            ALL,
            MANAGE,
            Dialect::Native,
            get(list).with_state(state()),
        )
        .route(
            Method::GET,
            ONE,
            MANAGE,
            Dialect::Native,
            get(one).with_state(state()),
        )
        .route(
            Method::GET,
            OWN,
            Access::Authenticated,
            Dialect::Native,
            get(own).with_state(state()),
        )
        .route(
            Method::PUT,
            ONE,
            MANAGE,
            Dialect::Native,
            axum::routing::put(set).with_state(state()),
        )
        .route(
            Method::DELETE,
            ONE,
            MANAGE,
            Dialect::Native,
            axum::routing::delete(remove).with_state(state()),
        )
}

async fn list(State(gateway): State<Arc<Gateway>>) -> Result<Json<List<QuotaView>>, ApiError> {
    let all = gateway.quotas().list().await.map_err(GatewayError::into_native)?;
    Ok(Json(List::all(all)))
}

async fn one(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<Json<QuotaView>, ApiError> {
    let found = gateway
        .quotas()
        .get(&name)
        .await
        .map_err(GatewayError::into_native)?;
    Ok(Json(found))
}

async fn own(
    State(gateway): State<Arc<Gateway>>,
    Caller(caller): Caller,
) -> Result<Json<QuotaView>, ApiError> {
    let found = gateway
        .quotas()
        .get(&caller.name)
        .await
        .map_err(GatewayError::into_native)?;
    Ok(Json(found))
}

async fn set(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Json(limits): Json<Limits>,
) -> Result<Json<QuotaView>, ApiError> {
    let set = gateway
        .quotas()
        .set(&name, limits)
        .await
        .map_err(GatewayError::into_native)?;
    Ok(Json(set))
}

async fn remove(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    gateway
        .quotas()
        .remove(&name)
        .await
        .map_err(GatewayError::into_native)?;
    Ok(StatusCode::NO_CONTENT)
}

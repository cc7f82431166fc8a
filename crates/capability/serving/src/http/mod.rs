//! Native routes: `/endpoints`.

mod releases;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{delete, get, put};
use corliss_http::{ApiError, Authority, Caller, Dialect, Json, List, Path, Routes};
use corliss_policy_serving::Routing;
use corliss_types::{Access, Permission};
use http::{Method, StatusCode};

use crate::Serving;
use crate::services::ConnectRequest;
use crate::types::{DeployRequest, EndpointView};

const READ: Access = Access::Requires(Permission::EndpointsRead);
const WRITE: Access = Access::Requires(Permission::EndpointsWrite);
const ALL: &str = "/api/v1/endpoints";
const ONE: &str = "/api/v1/endpoints/{name}";
const SERVICE: &str = "/api/v1/endpoints/{name}/service";
const ROUTING: &str = "/api/v1/endpoints/{name}/routing";

impl Serving {
    /// The routes of this capability.
    #[must_use]
    pub fn routes(self: &Arc<Self>) -> Routes {
        let state = || self.clone();
        Routes::new()
            .route(
                Method::GET,
                ALL,
                READ,
                Dialect::Native,
                get(list).with_state(state()),
            )
            .route(
                Method::GET,
                ONE,
                READ,
                Dialect::Native,
                get(one).with_state(state()),
            )
            .route(
                Method::PUT,
                ONE,
                WRITE,
                Dialect::Native,
                put(deploy).with_state(state()),
            )
            .route(
                Method::PUT,
                ROUTING,
                WRITE,
                Dialect::Native,
                put(route).with_state(state()),
            )
            // The server itself is made to ask there and hand out what is said.
            .route(
                Method::PUT,
                SERVICE,
                Access::Requires(Permission::SystemAdmin),
                Dialect::Native,
                put(connect).with_state(state()),
            )
            .route(
                Method::DELETE,
                ONE,
                WRITE,
                Dialect::Native,
                delete(remove).with_state(state()),
            )
            .merge(releases::routes(self))
    }
}

async fn list(State(serving): State<Arc<Serving>>) -> Result<Json<List<EndpointView>>, ApiError> {
    Ok(Json(List::all(serving.list().await?)))
}

async fn one(
    State(serving): State<Arc<Serving>>,
    Path(name): Path<String>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(serving.get(&name).await?))
}

async fn deploy(
    State(serving): State<Arc<Serving>>,
    Caller(caller): Caller,
    authority: Authority,
    Path(name): Path<String>,
    Json(request): Json<DeployRequest>,
) -> Result<(StatusCode, Json<EndpointView>), ApiError> {
    if request.allow_pickle {
        authority.demand(Permission::ModelsDeployUnsafe)?;
    }
    let endpoint = serving.deploy(&name, request, &caller.name).await?;
    Ok((StatusCode::ACCEPTED, Json(endpoint)))
}

async fn route(
    State(serving): State<Arc<Serving>>,
    Path(name): Path<String>,
    Json(routing): Json<Routing>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(serving.set_routing(&name, routing).await?))
}

async fn connect(
    State(serving): State<Arc<Serving>>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Json(request): Json<ConnectRequest>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(serving.connect(&name, request, &caller.name).await?))
}

async fn remove(
    State(serving): State<Arc<Serving>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    serving.remove(&name).await?;
    Ok(StatusCode::ACCEPTED)
}

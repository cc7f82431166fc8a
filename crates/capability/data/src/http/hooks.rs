//! `/data/datasets/{name}/hooks…`, for administrators.
//!
//! A hook makes this server send from inside its network, tells others what is committed here, and may stop everybody's
//! commits. Its address may hold a token. So not all who may write data may see or change hooks; and what only
//! administrators may do is in the audit log before it is answered.

use axum::extract::State;
use axum::routing::{MethodRouter, get, patch, post};
use corliss_http::{ApiError, Caller, Dialect, Json, List, Path, Query, Routes};
use corliss_types::{Access, DatasetName, Permission};
use http::{Method, StatusCode};

use super::{Page, page};
use crate::hook::{Hook, HookChange, HookDelivery, HookTest, HookWithSecret, NewHook};
use crate::{DataError, DataService};

/// The routes of hooks.
#[must_use]
pub fn hook_routes(service: &DataService) -> Routes {
    let all = "/api/v1/data/datasets/{name}/hooks";
    let one = format!("{all}/{{hook}}");
    let at = |method: Method, path: &str, handler: MethodRouter<DataService>| {
        let access = Access::Requires(Permission::SystemAdmin);
        let handler = handler.with_state(service.clone());
        Routes::new().route(method, path, access, Dialect::Native, handler)
    };
    Routes::new()
        .merge(at(Method::GET, all, get(list)))
        .merge(at(Method::POST, all, post(create)))
        .merge(at(Method::GET, &one, get(detail)))
        .merge(at(Method::PATCH, &one, patch(change)))
        .merge(at(Method::DELETE, &one, axum::routing::delete(delete)))
        // Waits for the receiver.
        .merge(at(Method::POST, &format!("{one}/test"), post(test)).streaming())
        .merge(at(Method::GET, &format!("{one}/deliveries"), get(deliveries)))
}

/// All of them: a dataset has few.
async fn list(
    State(service): State<DataService>,
    Path(dataset): Path<DatasetName>,
) -> Result<Json<List<Hook>>, ApiError> {
    Ok(Json(List {
        items: service.hooks(&dataset).await?,
        next_page_token: None,
    }))
}

async fn create(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path(dataset): Path<DatasetName>,
    Json(new): Json<NewHook>,
) -> Result<(StatusCode, Json<HookWithSecret>), ApiError> {
    let made = service.create_hook(&dataset, new, &caller.name).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn detail(
    State(service): State<DataService>,
    Path((dataset, hook)): Path<(DatasetName, String)>,
) -> Result<Json<Hook>, ApiError> {
    Ok(Json(service.hook(&dataset, &hook).await?))
}

async fn change(
    State(service): State<DataService>,
    Path((dataset, hook)): Path<(DatasetName, String)>,
    Json(change): Json<HookChange>,
) -> Result<Json<HookWithSecret>, ApiError> {
    Ok(Json(service.change_hook(&dataset, &hook, change).await?))
}

async fn delete(
    State(service): State<DataService>,
    Path((dataset, hook)): Path<(DatasetName, String)>,
) -> Result<StatusCode, ApiError> {
    service.delete_hook(&dataset, &hook).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn test(
    State(service): State<DataService>,
    Caller(caller): Caller,
    Path((dataset, hook)): Path<(DatasetName, String)>,
) -> Result<Json<HookTest>, ApiError> {
    Ok(Json(service.test_hook(&dataset, &hook, &caller.name).await?))
}

/// Newest first; the page token is the number of the last one of the page before.
async fn deliveries(
    State(service): State<DataService>,
    Path((dataset, hook)): Path<(DatasetName, String)>,
    Query(query): Query<Page>,
) -> Result<Json<List<HookDelivery>>, ApiError> {
    let limit = query.limit(100, 1000)?;
    let before: u64 = match query.after()?.as_str() {
        "" => u64::MAX,
        token => token.parse().map_err(|_| DataError::BadPageToken)?,
    };
    let items = service
        .hook_deliveries(&dataset, &hook, before, limit + 1)
        .await?;
    Ok(Json(page(items, limit as usize, |last| {
        last.sequence.to_string()
    })))
}

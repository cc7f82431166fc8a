//! `/api/v1/models`.

mod import;
mod protection;
mod versions;
mod view;

use axum::extract::State;
use axum::routing::{MethodRouter, delete, get, post, put};
use corliss_http::{ApiError, Dialect, Json, List, PageQuery, Path, Query, Routes};
use corliss_types::{Access, Permission};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use self::view::{Detail, Summary, Version};
use super::acting::Acting;
use crate::service::{Expected, Search};
use crate::{ModelEvent, Registry, RegistryError};

const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

const READ: Access = Access::Requires(Permission::ModelsRead);
const WRITE: Access = Access::Requires(Permission::ModelsWrite);
const PROMOTE: Access = Access::Requires(Permission::ModelsPromote);
const APPROVE: Access = Access::Requires(Permission::ModelsApprove);
const PROTECT: Access = Access::Requires(Permission::ModelsProtect);

pub(super) fn routes(registry: Registry) -> Routes {
    let (model, alias) = ("/api/v1/models/{name}", "/api/v1/models/{name}/aliases/{alias}");
    let protection = "/api/v1/models/{name}/protection";
    let version = "/api/v1/models/{name}/versions/{version}";
    let entries: [(Method, &str, Access, MethodRouter<Registry>); 10] = [
        (Method::GET, "/api/v1/models", READ, get(list)),
        (Method::GET, model, READ, get(detail)),
        (Method::DELETE, model, PROMOTE, delete(delete_model)),
        (Method::GET, "/api/v1/models/{name}/events", READ, get(events)),
        (Method::PUT, alias, PROMOTE, put(set_alias)),
        (Method::DELETE, alias, PROMOTE, delete(delete_alias)),
        (Method::PUT, protection, PROTECT, put(protection::put)),
        (Method::DELETE, protection, PROTECT, delete(protection::delete)),
        (Method::GET, version, READ, get(versions::detail)),
        (
            Method::POST,
            "/api/v1/models/{name}/versions/{version}/decisions",
            APPROVE,
            post(versions::decide),
        ),
    ];
    let mut routes = import::routes(registry.clone());
    for (method, path, access, handler) in entries {
        routes = routes.route(
            method,
            path,
            access,
            Dialect::Native,
            handler.with_state(registry.clone()),
        );
    }
    routes
        .route(
            Method::POST,
            "/api/v1/models/{name}/versions/{version}/check",
            WRITE,
            Dialect::Native,
            post(versions::check).with_state(registry),
        )
        // Reads every file's header, however many there are.
        .streaming()
}

async fn list(
    State(registry): State<Registry>,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<Summary>>, ApiError> {
    let limit = page.limit(PAGE, PAGE_MAX)?;
    let search = Search {
        max_results: Some(i64::from(limit)),
        page_token: page.page_token,
        ..Search::default()
    };
    let (models, next_page_token) = registry.search_models(search).await?;
    Ok(Json(List {
        items: models.into_iter().map(Summary::from).collect(),
        next_page_token,
    }))
}

async fn detail(
    State(registry): State<Registry>,
    Path(name): Path<String>,
) -> Result<Json<Detail>, ApiError> {
    let model = registry.model(name.clone()).await?;
    let versions = registry.versions(name.clone()).await?;
    let mut checked = registry.counts(name.clone()).await?;
    Ok(Json(Detail {
        protection: registry.protection(name).await?,
        name: model.name,
        description: model.description,
        tags: model.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        aliases: model.aliases,
        versions: versions
            .into_iter()
            .map(|version| {
                let counts = checked.remove(&version.version);
                Version::of(version, counts)
            })
            .collect(),
    }))
}

async fn events(
    State(registry): State<Registry>,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<ModelEvent>>, ApiError> {
    let limit = page.limit(PAGE, PAGE_MAX)?;
    let (items, next_page_token) = registry.events(name, limit, page.page_token).await?;
    Ok(Json(List {
        items,
        next_page_token,
    }))
}

async fn delete_model(Acting(registry): Acting, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    registry.delete_model(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAlias {
    version: i64,
    /// Compare-and-set: only if the alias points here now; 0 means only if there is no such alias.
    expected_version: Option<i64>,
}

#[derive(Serialize)]
struct AliasSet {
    version: i64,
    previous_version: Option<i64>,
}

async fn set_alias(
    Acting(registry): Acting,
    Path((name, alias)): Path<(String, String)>,
    Json(body): Json<SetAlias>,
) -> Result<Json<AliasSet>, ApiError> {
    let expected = match body.expected_version {
        None => Expected::Any,
        Some(0) => Expected::Absent,
        Some(version) => Expected::Version(version),
    };
    let previous_version = registry.set_alias(name, alias, body.version, expected).await?;
    Ok(Json(AliasSet {
        version: body.version,
        previous_version,
    }))
}

async fn delete_alias(
    Acting(registry): Acting,
    Path((name, alias)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    if registry.delete_alias(name.clone(), alias.clone()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(RegistryError::AliasNotFound {
        name,
        alias,
        nearest: None,
    }
    .into())
}

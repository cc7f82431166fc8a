//! `/api/v1/models`.

mod import;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::{delete, get, put};
use corliss_http::{ApiError, Dialect, Json, List, PageQuery, Path, Query, Routes};
use corliss_types::{Access, Flavor, Permission, VersionId};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::service::{Expected, Search};
use crate::types::{DataInput, Model, ModelVersion};
use crate::{Registry, RegistryError};

const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

pub(super) fn routes(registry: Registry) -> Routes {
    let reads = Access::Requires(Permission::ModelsRead);
    let promotes = Access::Requires(Permission::ModelsPromote);
    let alias = "/api/v1/models/{name}/aliases/{alias}";
    import::routes(registry.clone())
        .route(
            Method::GET,
            "/api/v1/models",
            reads,
            Dialect::Native,
            get(list).with_state(registry.clone()),
        )
        .route(
            Method::GET,
            "/api/v1/models/{name}",
            reads,
            Dialect::Native,
            get(detail).with_state(registry.clone()),
        )
        .route(
            Method::DELETE,
            "/api/v1/models/{name}",
            promotes,
            Dialect::Native,
            delete(delete_model).with_state(registry.clone()),
        )
        .route(
            Method::PUT,
            alias,
            promotes,
            Dialect::Native,
            put(set_alias).with_state(registry.clone()),
        )
        .route(
            Method::DELETE,
            alias,
            promotes,
            Dialect::Native,
            delete(delete_alias).with_state(registry),
        )
}

#[derive(Serialize)]
struct Summary {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_version: Option<i64>,
    aliases: BTreeMap<String, i64>,
    updated_ms: i64,
}

impl From<Model> for Summary {
    fn from(model: Model) -> Self {
        let Model {
            name,
            latest_version,
            aliases,
            updated_ms,
            ..
        } = model;
        Self {
            name,
            latest_version,
            aliases,
            updated_ms,
        }
    }
}

#[derive(Serialize)]
struct Detail {
    name: String,
    description: String,
    tags: BTreeMap<String, String>,
    aliases: BTreeMap<String, i64>,
    versions: Vec<Version>,
}

#[derive(Serialize)]
struct Version {
    version: i64,
    created_ms: i64,
    /// A prompt has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_version: Option<VersionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_run_id: Option<String>,
    data: Vec<DataInput>,
    code: Option<VersionId>,
    metrics: BTreeMap<String, f64>,
    flavor: Flavor,
    aliases: Vec<String>,
    description: String,
    tags: BTreeMap<String, String>,
}

impl From<ModelVersion> for Version {
    fn from(version: ModelVersion) -> Self {
        Self {
            version: version.version,
            created_ms: version.created_ms,
            source_version: version.source_version,
            run_id: version.run_id,
            step: version.step,
            tracking_run_id: version.tracking_run_id,
            data: version.data,
            code: version.code,
            metrics: version.metrics,
            flavor: version.flavor,
            aliases: version.aliases,
            description: version.description,
            tags: version.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        }
    }
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
    let versions = registry.versions(name).await?;
    Ok(Json(Detail {
        name: model.name,
        description: model.description,
        tags: model.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        aliases: model.aliases,
        versions: versions.into_iter().map(Version::from).collect(),
    }))
}

async fn delete_model(
    State(registry): State<Registry>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
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
    State(registry): State<Registry>,
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
    State(registry): State<Registry>,
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

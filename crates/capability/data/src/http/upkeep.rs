//! `/data/storage`; `/data/collect` and `/data/check`, which run in the background.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use corliss_blobstore::CachedBackend;
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_types::{Access, Permission};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::ports::InUse;
use crate::service::{CollectWish, Operation, StorageUsage};
use crate::{DataError, DataService};

/// The data room and what the others keep.
#[derive(Clone)]
struct Upkeep {
    service: DataService,
    in_use: Arc<dyn InUse>,
    cache: Option<CachedBackend>,
}

/// The routes for administrators.
#[must_use]
pub fn upkeep_routes(service: DataService, in_use: Arc<dyn InUse>, cache: Option<CachedBackend>) -> Routes {
    let admin = Access::Requires(Permission::SystemAdmin);
    let upkeep = Upkeep {
        service,
        in_use,
        cache,
    };
    let route = |method, path: &str, access, handler: axum::routing::MethodRouter<Upkeep>| {
        let handler = handler.with_state(upkeep.clone());
        Routes::new().route(method, path, access, Dialect::Native, handler)
    };
    Routes::new()
        .merge(route(
            Method::GET,
            "/api/v1/data/storage",
            Access::Requires(Permission::DataRead),
            get(storage),
        ))
        .merge(route(Method::POST, "/api/v1/data/collect", admin, post(collect)))
        .merge(route(Method::POST, "/api/v1/data/check", admin, post(check)))
}

/// What is stored and, where it lies in a bucket, how the copies of it here are used.
#[derive(Debug, Serialize)]
struct StorageAnswer {
    #[serde(flatten)]
    usage: StorageUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheAnswer>,
}

/// Counts since the start.
#[derive(Debug, Serialize)]
struct CacheAnswer {
    hits: u64,
    misses: u64,
    bytes_from_cache: u64,
    bytes_from_remote: u64,
    evictions: u64,
    used_bytes: u64,
    limit_bytes: u64,
}

async fn storage(State(upkeep): State<Upkeep>) -> Result<Json<StorageAnswer>, ApiError> {
    let usage = upkeep.service.storage().await?;
    let cache = upkeep.cache.as_ref().map(|cache| {
        let stats = cache.stats();
        CacheAnswer {
            hits: stats.hits,
            misses: stats.misses,
            bytes_from_cache: stats.bytes_from_cache,
            bytes_from_remote: stats.bytes_from_remote,
            evictions: stats.evictions,
            used_bytes: stats.used_bytes,
            limit_bytes: stats.limit_bytes,
        }
    });
    Ok(Json(StorageAnswer { usage, cache }))
}

/// Of what is stored here, or of a remote.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectBody {
    #[serde(default = "grace_seconds")]
    grace_seconds: u64,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    despite_missing: bool,
    /// A folder or bucket to collect instead.
    #[serde(default)]
    remote: Option<String>,
}

fn grace_seconds() -> u64 {
    CollectWish::default().grace_seconds
}

async fn collect(
    State(upkeep): State<Upkeep>,
    Json(body): Json<CollectBody>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let wish = CollectWish {
        grace_seconds: body.grace_seconds,
        dry_run: body.dry_run,
        despite_missing: body.despite_missing,
    };
    let started = match body.remote {
        Some(_) if wish.despite_missing => return Err(DataError::DespiteMissingRemote.into()),
        Some(remote) => upkeep.service.start_collect_remote(remote, wish)?,
        None => upkeep.service.start_collect(upkeep.in_use, wish)?,
    };
    Ok((StatusCode::ACCEPTED, Json(started)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckWish {
    #[serde(default)]
    quick: bool,
    /// A remote to fetch from what is damaged or missing.
    #[serde(default)]
    repair_from: Option<String>,
}

async fn check(
    State(upkeep): State<Upkeep>,
    Json(wish): Json<CheckWish>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    if wish.quick && wish.repair_from.is_some() {
        return Err(DataError::QuickRepair.into());
    }
    let started = upkeep.service.start_check(wish.quick, wish.repair_from)?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

//! `/system/keys`: which keys seal what is stored, new ones, and their end.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use corliss_data::{DataService, InUse, InputCache};
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, Caller, Dialect, Json, Routes, TENANT};
use corliss_keyring::{Destroyed, FileRootKey, KeyError, Keyring, Summary, TenantKeys};
use corliss_registry::Registry;
use corliss_types::{Access, Permission};
use http::Method;
use serde::{Deserialize, Serialize};

/// The keys of this server.
#[derive(Clone)]
pub struct Keys {
    /// The tenant's keys.
    pub ring: Arc<Keyring>,
    /// The file with the root key, if it is there that new ones are made.
    pub file: Option<Arc<FileRootKey>>,
}

/// What is sealed with them.
#[derive(Clone)]
pub struct Sealed {
    /// Datasets.
    pub data: DataService,
    /// Of them, what is laid out for steps.
    pub inputs: InputCache,
    /// Models.
    pub registry: Registry,
    /// Artifacts of tracking, among others.
    pub in_use: Arc<dyn InUse>,
}

/// Every route of this file.
pub fn routes(keys: &Keys, sealed: Sealed) -> Routes {
    let admin = Access::Requires(Permission::SystemAdmin);
    let native = Dialect::Native;
    Routes::new()
        .route(
            Method::GET,
            "/api/v1/system/keys",
            admin,
            native,
            get(list).with_state(keys.clone()),
        )
        .route(
            Method::POST,
            "/api/v1/system/keys/rotate",
            admin,
            native,
            post(rotate).with_state(keys.clone()),
        )
        .route(
            Method::POST,
            "/api/v1/system/keys/destroy",
            admin,
            native,
            post(destroy).with_state((keys.clone(), sealed)),
        )
}

#[derive(Debug, Serialize)]
struct KeysAnswer {
    items: Vec<Summary>,
}

async fn list(State(keys): State<Keys>) -> Result<Json<KeysAnswer>, ApiError> {
    let items = vec![keys.ring.summary().map_err(|error| ApiError::of(&error))?];
    Ok(Json(KeysAnswer { items }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Destruction {
    /// Whose keys: there is no default for it.
    tenant: String,
    /// Tell what would become unreadable, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What becomes unreadable, or has.
#[derive(Debug, Serialize)]
struct DestroyAnswer {
    dry_run: bool,
    keys: TenantKeys,
    datasets: u64,
    versions: u64,
    versions_bytes: u64,
    /// Artifacts of tracking.
    artifacts: u64,
    /// Versions that models are.
    model_versions: u64,
    stored_bytes: u64,
}

/// From the moment that this answers, nobody reads what was stored: the keys are gone from memory and from where they
/// lay. What is laid out for runs that go on and for models is not reached, nor are backups of the wrapped keys.
async fn destroy(
    State((keys, sealed)): State<(Keys, Sealed)>,
    Caller(caller): Caller,
    Json(wish): Json<Destruction>,
) -> Result<Json<DestroyAnswer>, ApiError> {
    if wish.tenant != TENANT {
        let message = format!("there is no tenant '{}'", wish.tenant);
        let refused = ApiError::new(Meaning::NotFound, "tenant_not_found", message).with_field("tenant");
        return Err(refused.with_hint(format!("the tenant is '{TENANT}'")));
    }
    let usage = sealed.data.storage().await?;
    let artifacts = sealed
        .in_use
        .blobs()
        .await
        .map_err(|error| ApiError::of(&error))?;
    let models = sealed.registry.versions_in_use().await;
    let models = models.map_err(|error| ApiError::of(&error))?;
    let state = match wish.dry_run {
        true => match keys.ring.summary() {
            Ok(summary) => TenantKeys::Live(summary),
            Err(KeyError::Destroyed(destroyed)) => TenantKeys::Destroyed(destroyed),
            Err(error) => return Err(ApiError::of(&error)),
        },
        false => TenantKeys::Destroyed(end(&keys, &sealed, &caller.name).await?),
    };
    Ok(Json(DestroyAnswer {
        dry_run: wish.dry_run,
        keys: state,
        datasets: usage.datasets,
        versions: usage.versions,
        versions_bytes: usage.versions_bytes,
        artifacts: artifacts.len() as u64,
        model_versions: models.len() as u64,
        stored_bytes: usage.stored_bytes,
    }))
}

async fn end(keys: &Keys, sealed: &Sealed, by: &str) -> Result<Destroyed, ApiError> {
    let destroyed = keys.ring.destroy(by).await;
    // Also if it failed: it may be done all the same, and then nothing is answered from memory.
    sealed.data.forget_opened();
    if let Err(error) = sealed.inputs.close().await {
        tracing::warn!(%error, "what was laid out for ended runs could not be removed");
    }
    destroyed.map_err(|error| ApiError::of(&error))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// A new root key as well; with Vault, the newest that it has.
    #[serde(default)]
    root: bool,
    /// And the old ones are removed from the file: what they wrapped, in old backups too, never opens again.
    #[serde(default)]
    retire: bool,
}

async fn rotate(State(keys): State<Keys>, Json(wish): Json<Rotation>) -> Result<Json<KeysAnswer>, ApiError> {
    let rotated = turn(&keys, &wish).await;
    let items = vec![rotated.map_err(|error| ApiError::of(&error))?];
    Ok(Json(KeysAnswer { items }))
}

/// No step touches what is stored. Cut off anywhere, everything opens still, and the next rotation goes on.
async fn turn(keys: &Keys, wish: &Rotation) -> Result<Summary, KeyError> {
    if wish.root {
        if let Some(file) = keys.file.clone() {
            blocking(move || file.add().map(|_| ())).await?;
        }
        keys.ring.rewrap().await?;
    }
    let summary = keys.ring.rotate().await?;
    if let Some(file) = keys.file.clone().filter(|_| wish.retire) {
        // The one tenant that there is.
        let in_use = BTreeSet::from([summary.root_key.clone()]);
        blocking(move || file.retire(&in_use).map(|_| ())).await?;
    }
    Ok(summary)
}

async fn blocking(work: impl FnOnce() -> Result<(), KeyError> + Send + 'static) -> Result<(), KeyError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(KeyError::Io {
            action: "write",
            place: "the root key".to_owned(),
            message: error.to_string(),
        })
    })
}

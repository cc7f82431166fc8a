//! `/system/keys`: which keys seal what is stored, and new ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_keyring::{FileRootKey, KeyError, Keyring, Summary};
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

/// Every route of this file.
pub fn routes(keys: &Keys) -> Routes {
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

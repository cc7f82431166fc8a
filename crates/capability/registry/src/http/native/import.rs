//! `/api/v1/registry/import`: moving in from another registry, as `corliss experiments import` does.

use std::collections::BTreeMap;

use axum::routing::post;
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::http::acting::Acting;
use crate::service::{ImportRegistered, ImportVersion};
use crate::types::{KeyValue, Stage};
use crate::{ForeignSource, Registry, RegistryError};

/// A tag has 100,000 characters at most, and a call a hundred versions.
const BODY_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn routes(registry: Registry) -> Routes {
    Routes::new()
        .route(
            Method::POST,
            "/api/v1/registry/import",
            Access::Requires(Permission::ModelsPromote),
            Dialect::Native,
            post(import).with_state(registry),
        )
        .body_limit(BODY_BYTES)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    source: String,
    name: String,
    #[serde(default)]
    description: String,
    created_ms: i64,
    updated_ms: i64,
    #[serde(default)]
    tags: Vec<Pair>,
    #[serde(default)]
    aliases: BTreeMap<String, i64>,
    versions: Vec<Version>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    version: i64,
    #[serde(default)]
    description: String,
    #[serde(default)]
    stage: String,
    source: String,
    run_id: Option<String>,
    model_id: Option<String>,
    #[serde(default)]
    run_link: String,
    created_ms: i64,
    updated_ms: i64,
    #[serde(default)]
    tags: Vec<Pair>,
}

#[derive(Serialize)]
struct Answer {
    /// Whether the model is here.
    has_model: bool,
    /// Numbers of versions that are here.
    here: Vec<i64>,
    /// MLflow's stages of these.
    stages: BTreeMap<i64, &'static str>,
    /// What each alias of the model points at.
    aliases: BTreeMap<String, i64>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    version: i64,
    message: String,
}

fn pairs(pairs: Vec<Pair>) -> Vec<KeyValue> {
    let pairs = pairs.into_iter();
    pairs
        .map(|pair| KeyValue {
            key: pair.key,
            value: pair.value,
        })
        .collect()
}

impl TryFrom<Version> for ImportVersion {
    type Error = RegistryError;

    fn try_from(sent: Version) -> Result<Self, RegistryError> {
        let stage = match sent.stage.as_str() {
            "" => Stage::None,
            text => Stage::parse(text)
                .ok_or_else(|| RegistryError::invalid(format!("'{text}' is no stage of a version")))?,
        };
        Ok(Self {
            version: sent.version,
            description: sent.description,
            stage,
            source: ForeignSource {
                source: sent.source,
                run_id: sent.run_id,
                model_id: sent.model_id,
            },
            run_link: sent.run_link,
            created_ms: sent.created_ms,
            updated_ms: sent.updated_ms,
            tags: pairs(sent.tags),
        })
    }
}

async fn import(Acting(registry): Acting, Json(sent): Json<Sent>) -> Result<Json<Answer>, ApiError> {
    let versions = sent.versions.into_iter().map(ImportVersion::try_from);
    let moved = registry
        .import_registered(ImportRegistered {
            source: sent.source,
            name: sent.name,
            description: sent.description,
            created_ms: sent.created_ms,
            updated_ms: sent.updated_ms,
            tags: pairs(sent.tags),
            aliases: sent.aliases,
            versions: versions.collect::<Result<_, _>>()?,
            dry_run: sent.dry_run,
        })
        .await?;
    let refused = moved.refused.into_iter();
    Ok(Json(Answer {
        has_model: moved.has_model,
        here: moved.here,
        stages: moved
            .stages
            .into_iter()
            .map(|(version, stage)| (version, stage.as_str()))
            .collect(),
        aliases: moved.aliases,
        refused: refused
            .map(|(version, message)| Refused { version, message })
            .collect(),
    }))
}

//! The repository extension: which models there are, and putting them to work or out of it.
//!
//! What Triton calls a loaded model is an endpoint here. Loading deploys the registered model of that name, or brings
//! back the endpoint that is on its way out; unloading lets the endpoint go away.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use bytes::Bytes;
use corliss_http::{ApiError, Caller, Json, JsonBytes, Path, RawBody};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::GatewayError;
use crate::ports::Repository;
use crate::service::Gateway;

/// The table of routes follows what was done within moments; beyond this it is not waited for.
const TABLE_PATIENCE: Duration = Duration::from_secs(5);
const TABLE_PERIOD: Duration = Duration::from_millis(20);

/// What these routes work with.
#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) gateway: Arc<Gateway>,
    pub(super) repository: Arc<dyn Repository>,
}

/// One model of the index.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) state: &'static str,
    pub(super) reason: String,
}

#[derive(Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

#[derive(Default, Deserialize)]
struct ChangeRequest {
    parameters: Option<Map<String, Value>>,
}

pub(super) async fn index(
    State(shelf): State<Shelf>,
    RawBody(body): RawBody,
) -> Result<Json<Value>, ApiError> {
    let IndexRequest { ready } = parse(body)?;
    let view = |entry: Entry| json!({ "name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason });
    Ok(Json(shelf.index(ready).into_iter().map(view).collect()))
}

pub(super) async fn load(
    State(shelf): State<Shelf>,
    Caller(caller): Caller,
    Path(model): Path<String>,
    RawBody(body): RawBody,
) -> Result<StatusCode, ApiError> {
    let ChangeRequest { parameters } = parse(body)?;
    let given = parameters.unwrap_or_default();
    shelf
        .load(&model, &caller.name, given.keys().map(String::as_str))
        .await?;
    Ok(StatusCode::OK)
}

pub(super) async fn unload(
    State(shelf): State<Shelf>,
    Path(model): Path<String>,
    RawBody(body): RawBody,
) -> Result<StatusCode, ApiError> {
    let ChangeRequest { parameters } = parse(body)?;
    let given = parameters.unwrap_or_default();
    shelf.unload(&model, given.keys().map(String::as_str)).await?;
    Ok(StatusCode::OK)
}

/// Clients send nothing at all where they have nothing to say.
fn parse<T: Default + DeserializeOwned>(body: Bytes) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    JsonBytes(body).parse()
}

impl Shelf {
    /// Every endpoint, or those that take requests.
    pub(super) fn index(&self, only_ready: bool) -> Vec<Entry> {
        let entry = |endpoint: Arc<crate::service::endpoint::Endpoint>| {
            let ready = endpoint.is_ready();
            Entry {
                name: endpoint.name().to_owned(),
                version: endpoint.version().to_string(),
                state: if ready { "READY" } else { "UNAVAILABLE" },
                reason: if ready { None } else { endpoint.reason() }.unwrap_or_default(),
            }
        };
        let all = self.gateway.endpoints().into_iter().map(entry);
        all.filter(|entry| !only_ready || entry.state == "READY")
            .collect()
    }

    /// Loads a model. Its files and configuration are the registry's, so none are taken from the request.
    pub(super) async fn load<'a>(
        &self,
        name: &str,
        by: &str,
        mut parameters: impl Iterator<Item = &'a str>,
    ) -> Result<(), ApiError> {
        if let Some(parameter) = parameters.next() {
            return Err(unsupported(
                parameter,
                "register a version of the model and deploy it",
            ));
        }
        self.repository.load(name, by).await?;
        self.follow(|| self.is_ready(name)).await;
        Ok(())
    }

    /// Unloads a model. None depends on another, so it is the same with its dependents.
    pub(super) async fn unload<'a>(
        &self,
        name: &str,
        mut parameters: impl Iterator<Item = &'a str>,
    ) -> Result<(), ApiError> {
        if let Some(parameter) = parameters.find(|parameter| *parameter != "unload_dependents") {
            return Err(unsupported(parameter, "leave it out"));
        }
        self.repository.unload(name).await?;
        self.follow(|| !self.is_ready(name)).await;
        Ok(())
    }

    fn is_ready(&self, name: &str) -> bool {
        let found = self.gateway.endpoint(name);
        found.is_ok_and(|endpoint| endpoint.is_ready())
    }

    /// Waits until it holds, so that who asks next is answered by what was done.
    async fn follow(&self, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                tokio::time::sleep(TABLE_PERIOD).await;
            }
        };
        let _ = tokio::time::timeout(TABLE_PATIENCE, wait).await;
    }
}

fn unsupported(parameter: &str, instead: &'static str) -> ApiError {
    GatewayError::UnsupportedParameter {
        parameter: format!("parameters.{}", parameter.chars().take(80).collect::<String>()),
        instead: Some(instead),
    }
    .into_api()
}

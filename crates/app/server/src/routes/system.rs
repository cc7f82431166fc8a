//! Probes, version, status and shutdown.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use corliss_executor::inventory::{Inventory, InventorySource};
use corliss_http::{ApiError, Caller, Dialect, Json, Routes};
use corliss_jobs::Jobs;
use corliss_reconcile::{WorkerBoard, WorkerStatus};
use corliss_types::{Accelerator, Access, Permission, Resources, Timestamp};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lifecycle::Stop;

/// What the status tells.
pub struct System {
    /// The home folder.
    pub home: PathBuf,
    /// Base URL.
    pub url: String,
    /// The database, without its password.
    pub database: String,
    /// When this process started to serve.
    pub started: Timestamp,
    /// All background workers.
    pub workers: WorkerBoard,
    /// The machine.
    pub inventory: Inventory,
    /// Jobs, for what is free.
    pub jobs: Arc<Jobs>,
    /// How to end this process.
    pub stop: Stop,
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    started_ms: Timestamp,
    home: String,
    address: String,
    database: String,
    workers: Vec<WorkerStatus>,
    inventory: InventoryStatus,
}

#[derive(Serialize)]
struct InventoryStatus {
    total: Resources,
    free: Resources,
    accelerators: Vec<Accelerator>,
    source: InventorySource,
    notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shutdown {
    #[serde(default)]
    keep_tasks: bool,
}

/// The routes. Probes answer in the form of `/healthz` and `/readyz` of Kubernetes: the status is the answer.
pub fn routes(system: &Arc<System>) -> Routes {
    let state = || system.clone();
    let read = Access::Requires(Permission::SystemRead);
    let admin = Access::Requires(Permission::SystemAdmin);
    Routes::new()
        .route(
            Method::GET,
            "/healthz",
            Access::Public,
            Dialect::Native,
            get(alive),
        )
        .route(
            Method::GET,
            "/readyz",
            Access::Public,
            Dialect::Native,
            get(alive),
        )
        .route(
            Method::GET,
            "/api/v1/version",
            Access::Public,
            Dialect::Native,
            get(version),
        )
        .route(
            Method::GET,
            "/api/v1/system/status",
            read,
            Dialect::Native,
            get(status).with_state(state()),
        )
        .route(
            Method::POST,
            "/api/v1/system/shutdown",
            admin,
            Dialect::Native,
            post(shutdown).with_state(state()),
        )
}

/// The address answers only once every room is open, so being reachable is being ready.
async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

async fn status(State(system): State<Arc<System>>) -> Result<Json<Status>, ApiError> {
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_ms: system.started,
        home: system.home.display().to_string(),
        address: system.url.clone(),
        database: system.database.clone(),
        workers: system.workers.list(),
        inventory: InventoryStatus {
            total: system.inventory.total,
            free: system.jobs.free().await?,
            accelerators: system.inventory.accelerators.clone(),
            source: system.inventory.source,
            notes: system.inventory.notes.clone(),
        },
    }))
}

async fn shutdown(
    State(system): State<Arc<System>>,
    Caller(caller): Caller,
    Json(request): Json<Shutdown>,
) -> (StatusCode, Json<Value>) {
    tracing::info!(by = %caller.name, keep_tasks = request.keep_tasks, "told to stop");
    system.stop.request(request.keep_tasks);
    (StatusCode::ACCEPTED, Json(json!({ "state": "stopping" })))
}

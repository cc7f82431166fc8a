//! MLflow's REST dialect, under `/api/2.0/mlflow` for clients and `/ajax-api/2.0/mlflow` for pages.
//!
//! What is not here answers 404 `ENDPOINT_NOT_FOUND`, which clients read as "this server does not have it".

mod answer;
mod artifacts;
mod experiments;
mod inputs;
mod log;
mod logged_models;
mod metrics;
mod probes;
mod run_answer;
mod runs;
mod transfers;
mod workspaces;

use axum::routing::{MethodRouter, delete, get, patch, post, put};
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_mlflow_wire::DialectRoutes;
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::Value;

use crate::{Tracking, limits};

type Answer = Result<Json<Value>, ApiError>;

const READ: Access = Access::Requires(Permission::TrackingRead);
const WRITE: Access = Access::Requires(Permission::TrackingWrite);

pub(super) fn routes(tracking: Tracking) -> Routes {
    let version = DialectRoutes::new("2.0", tracking.clone());
    let version = logged_model_routes(run_routes(experiment_routes(version)));
    let version = version
        .get(READ, "artifacts/list", artifacts::list_of_run)
        .post(READ, "artifacts/presigned-download-url", transfers::download_url)
        .post(WRITE, "artifacts/presigned-upload-url", transfers::upload_url);
    let routes = workspace_routes(probe_routes(large_routes(version).finish()));
    let routes = byte_routes(routes, &tracking);
    page_routes(transfer_routes(routes, &tracking), &tracking)
}

fn experiment_routes(version: DialectRoutes<Tracking>) -> DialectRoutes<Tracking> {
    version
        .post(WRITE, "experiments/create", experiments::create)
        .get(READ, "experiments/get", experiments::get)
        .get(READ, "experiments/get-by-name", experiments::get_by_name)
        .post(READ, "experiments/search", experiments::search)
        .get(READ, "experiments/search", experiments::search)
        .post(WRITE, "experiments/delete", experiments::delete)
        .post(WRITE, "experiments/restore", experiments::restore)
        .post(WRITE, "experiments/update", experiments::update)
        .post(WRITE, "experiments/set-experiment-tag", experiments::set_tag)
        .post(
            WRITE,
            "experiments/delete-experiment-tag",
            experiments::delete_tag,
        )
}

fn run_routes(version: DialectRoutes<Tracking>) -> DialectRoutes<Tracking> {
    version
        .post(WRITE, "runs/create", runs::create)
        .get(READ, "runs/get", runs::get)
        .post(WRITE, "runs/update", runs::update)
        .post(WRITE, "runs/delete", runs::delete)
        .post(WRITE, "runs/restore", runs::restore)
        .post(READ, "runs/search", runs::search)
        .post(WRITE, "runs/log-metric", log::metric)
        .post(WRITE, "runs/log-parameter", log::parameter)
        .post(WRITE, "runs/set-tag", log::set_tag)
        .post(WRITE, "runs/delete-tag", log::delete_tag)
        .post(WRITE, "runs/outputs", inputs::log_outputs)
        .post(WRITE, "runs/log-model", inputs::log_model)
        .get(READ, "metrics/get-history", metrics::history)
        .get(READ, "metrics/get-history-bulk", metrics::history_bulk)
        .get(
            READ,
            "metrics/get-history-bulk-interval",
            metrics::history_interval,
        )
}

/// Those whose bodies may be larger than others'.
fn large_routes(version: DialectRoutes<Tracking>) -> DialectRoutes<Tracking> {
    version
        // One byte beyond MLflow's own limit must reach the handler, which refuses it in its words.
        .body_limit(2 * limits::BATCH_BODY_BYTES)
        .post(WRITE, "runs/log-batch", log::batch)
        .body_limit(32 * 1024 * 1024)
        .post(WRITE, "runs/log-inputs", inputs::log_inputs)
}

fn logged_model_routes(version: DialectRoutes<Tracking>) -> DialectRoutes<Tracking> {
    version
        .post(WRITE, "logged-models", logged_models::create)
        .post(READ, "logged-models/search", logged_models::search)
        .get(READ, "logged-models/{model_id}", logged_models::get)
        .patch(WRITE, "logged-models/{model_id}", logged_models::finish)
        .delete(WRITE, "logged-models/{model_id}", logged_models::delete)
        .post(
            WRITE,
            "logged-models/{model_id}/params",
            logged_models::log_params,
        )
        .patch(WRITE, "logged-models/{model_id}/tags", logged_models::set_tags)
        .delete(
            WRITE,
            "logged-models/{model_id}/tags/{key}",
            logged_models::delete_tag,
        )
        .get(
            READ,
            "logged-models/{model_id}/artifacts/directories",
            artifacts::list_of_model,
        )
}

fn probe_routes(routes: Routes) -> Routes {
    routes
        .route(
            Method::GET,
            "/version",
            Access::Public,
            Dialect::Mlflow,
            get(probes::version),
        )
        .route(
            Method::GET,
            "/health",
            Access::Public,
            Dialect::Mlflow,
            get(probes::health),
        )
        .route(
            Method::GET,
            "/api/3.0/mlflow/server-info",
            Access::Public,
            Dialect::Mlflow,
            get(probes::server_info),
        )
        .route(
            Method::GET,
            "/ajax-api/3.0/mlflow/server-info",
            Access::Public,
            Dialect::Mlflow,
            get(probes::server_info),
        )
}

/// Who may do anything may see what workspaces there are.
fn workspace_routes(mut routes: Routes) -> Routes {
    let (known, mlflow) = (Access::Authenticated, Dialect::Mlflow);
    for prefix in ["/api/3.0/mlflow/workspaces", "/ajax-api/3.0/mlflow/workspaces"] {
        let one = format!("{prefix}/{{workspace_name}}");
        routes = routes
            .route(Method::GET, prefix, known, mlflow, get(workspaces::list))
            .route(Method::POST, prefix, WRITE, mlflow, post(workspaces::refuse))
            .route(Method::GET, &one, known, mlflow, get(workspaces::get))
            .route(Method::PATCH, &one, WRITE, mlflow, patch(workspaces::refuse))
            .route(Method::DELETE, &one, WRITE, mlflow, delete(workspaces::refuse));
    }
    routes
}

/// Uploads in parts and addresses for a while.
fn transfer_routes(mut routes: Routes, tracking: &Tracking) -> Routes {
    let of = |handler: MethodRouter<Tracking>| handler.with_state(tracking.clone());
    let mlflow = Dialect::Mlflow;
    for prefix in ["/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts"] {
        let at = |path: &str| format!("{prefix}/{path}/{{*path}}");
        routes = routes
            .route(
                Method::POST,
                &at("mpu/create"),
                WRITE,
                mlflow,
                of(post(transfers::create)),
            )
            .route(
                Method::POST,
                &at("mpu/complete"),
                WRITE,
                mlflow,
                of(post(transfers::complete)),
            )
            // Reads all parts, and there may be many to name.
            .streaming()
            .body_limit(limits::COMPLETE_BODY_BYTES)
            .route(
                Method::POST,
                &at("mpu/abort"),
                WRITE,
                mlflow,
                of(post(transfers::abort)),
            )
            .route(
                Method::GET,
                &at("presigned"),
                READ,
                mlflow,
                of(get(transfers::presigned)),
            );
    }
    // Public: the ticket says who may do what.
    let public = Access::Public;
    routes
        .route(
            Method::GET,
            transfers::TRANSFER,
            public,
            mlflow,
            of(get(transfers::get)),
        )
        .streaming()
        .route(
            Method::PUT,
            transfers::TRANSFER,
            public,
            mlflow,
            of(put(transfers::put)),
        )
        .body_limit(limits::ARTIFACT_BYTES)
        .streaming()
}

/// What pages of MLflow fetch and add.
fn page_routes(routes: Routes, tracking: &Tracking) -> Routes {
    let of = |handler: MethodRouter<Tracking>| handler.with_state(tracking.clone());
    let upload = "/ajax-api/2.0/mlflow/upload-artifact";
    // MLflow has it under this prefix alone.
    let datasets = "/ajax-api/2.0/mlflow/experiments/search-datasets";
    routes
        .route(
            Method::GET,
            "/get-artifact",
            READ,
            Dialect::Mlflow,
            of(get(transfers::of_run)),
        )
        .streaming()
        .route(
            Method::POST,
            upload,
            WRITE,
            Dialect::Mlflow,
            of(post(transfers::to_run)),
        )
        .body_limit(limits::PAGE_UPLOAD_BYTES)
        .route(
            Method::POST,
            datasets,
            READ,
            Dialect::Mlflow,
            of(post(inputs::search_datasets)),
        )
}

fn byte_routes(mut routes: Routes, tracking: &Tracking) -> Routes {
    for prefix in [
        "/api/2.0/mlflow-artifacts/artifacts",
        "/ajax-api/2.0/mlflow-artifacts/artifacts",
    ] {
        let file = format!("{prefix}/{{*path}}");
        let of = |handler: MethodRouter<Tracking>| handler.with_state(tracking.clone());
        routes = routes
            .route(
                Method::GET,
                prefix,
                READ,
                Dialect::Mlflow,
                of(get(artifacts::list)),
            )
            .route(
                Method::GET,
                &file,
                READ,
                Dialect::Mlflow,
                of(get(artifacts::download)),
            )
            .streaming()
            .route(
                Method::PUT,
                &file,
                WRITE,
                Dialect::Mlflow,
                of(put(artifacts::upload)),
            )
            .body_limit(limits::ARTIFACT_BYTES)
            .streaming()
            .route(
                Method::DELETE,
                &file,
                WRITE,
                Dialect::Mlflow,
                of(delete(artifacts::remove)),
            );
    }
    routes
}

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

use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::Value;

use crate::{Tracking, limits};

type Answer = Result<Json<Value>, ApiError>;

const READ: Access = Access::Requires(Permission::TrackingRead);
const WRITE: Access = Access::Requires(Permission::TrackingWrite);

/// Routes under both prefixes of the dialect.
struct Dialected {
    routes: Routes,
    tracking: Tracking,
}

impl Dialected {
    fn add(mut self, method: Method, path: &str, access: Access, handler: MethodRouter<Tracking>) -> Self {
        for prefix in ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"] {
            let handler = handler.clone().with_state(self.tracking.clone());
            let path = format!("{prefix}{path}");
            self.routes = self
                .routes
                .route(method.clone(), &path, access, Dialect::Mlflow, handler);
            if path.ends_with("runs/log-batch") {
                // One byte beyond MLflow's own limit must reach the handler, which refuses it in its words.
                self.routes = self.routes.body_limit(2 * limits::BATCH_BODY_BYTES);
            } else if path.ends_with("runs/log-inputs") {
                self.routes = self.routes.body_limit(32 * 1024 * 1024);
            }
        }
        self
    }

    fn read<T: 'static>(self, path: &str, handler: impl Handler<T, Tracking>) -> Self {
        self.add(Method::GET, path, READ, get(handler))
    }

    fn write<T: 'static>(self, path: &str, handler: impl Handler<T, Tracking>) -> Self {
        self.add(Method::POST, path, WRITE, post(handler))
    }

    /// A read whose arguments are too long for a query.
    fn query<T: 'static>(self, path: &str, handler: impl Handler<T, Tracking>) -> Self {
        self.add(Method::POST, path, READ, post(handler))
    }
}

pub(super) fn routes(tracking: Tracking) -> Routes {
    let dialected = Dialected {
        routes: Routes::new(),
        tracking: tracking.clone(),
    };
    let dialected = experiment_routes(dialected);
    let dialected = run_routes(dialected);
    let dialected = logged_model_routes(dialected);
    let dialected = dialected
        .read("artifacts/list", artifacts::list_of_run)
        .query("artifacts/presigned-download-url", transfers::download_url)
        .write("artifacts/presigned-upload-url", transfers::upload_url);
    let routes = workspace_routes(probe_routes(dialected.routes));
    let routes = byte_routes(routes, &tracking);
    page_routes(transfer_routes(routes, &tracking), &tracking)
}

fn experiment_routes(dialected: Dialected) -> Dialected {
    dialected
        .write("experiments/create", experiments::create)
        .read("experiments/get", experiments::get)
        .read("experiments/get-by-name", experiments::get_by_name)
        .query("experiments/search", experiments::search)
        .read("experiments/search", experiments::search)
        .write("experiments/delete", experiments::delete)
        .write("experiments/restore", experiments::restore)
        .write("experiments/update", experiments::update)
        .write("experiments/set-experiment-tag", experiments::set_tag)
        .write("experiments/delete-experiment-tag", experiments::delete_tag)
}

fn run_routes(dialected: Dialected) -> Dialected {
    dialected
        .write("runs/create", runs::create)
        .read("runs/get", runs::get)
        .write("runs/update", runs::update)
        .write("runs/delete", runs::delete)
        .write("runs/restore", runs::restore)
        .query("runs/search", runs::search)
        .write("runs/log-metric", log::metric)
        .write("runs/log-parameter", log::parameter)
        .write("runs/log-batch", log::batch)
        .write("runs/set-tag", log::set_tag)
        .write("runs/delete-tag", log::delete_tag)
        .write("runs/log-inputs", inputs::log_inputs)
        .write("runs/outputs", inputs::log_outputs)
        .write("runs/log-model", inputs::log_model)
        .read("metrics/get-history", metrics::history)
        .read("metrics/get-history-bulk", metrics::history_bulk)
        .read("metrics/get-history-bulk-interval", metrics::history_interval)
}

fn logged_model_routes(dialected: Dialected) -> Dialected {
    dialected
        .write("logged-models", logged_models::create)
        .query("logged-models/search", logged_models::search)
        .read("logged-models/{model_id}", logged_models::get)
        .add(
            Method::PATCH,
            "logged-models/{model_id}",
            WRITE,
            patch(logged_models::finish),
        )
        .add(
            Method::DELETE,
            "logged-models/{model_id}",
            WRITE,
            delete(logged_models::delete),
        )
        .write("logged-models/{model_id}/params", logged_models::log_params)
        .add(
            Method::PATCH,
            "logged-models/{model_id}/tags",
            WRITE,
            patch(logged_models::set_tags),
        )
        .add(
            Method::DELETE,
            "logged-models/{model_id}/tags/{key}",
            WRITE,
            delete(logged_models::delete_tag),
        )
        .read(
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

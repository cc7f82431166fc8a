//! MLflow's registry dialect: `registered-models/*` and `model-versions/*`.

mod answer;
mod models;
mod refusal;
mod versions;
mod webhooks;

use axum::routing::{MethodRouter, delete, get, patch, post};
use corliss_http::{Dialect, Json, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::Value;

use crate::Registry;

type Answer = Result<Json<Value>, refusal::Refusal>;

const READ: Access = Access::Requires(Permission::ModelsRead);
const WRITE: Access = Access::Requires(Permission::ModelsWrite);
const ADMIN: Access = Access::Requires(Permission::SystemAdmin);
const PROMOTE: Access = Access::Requires(Permission::ModelsPromote);

/// A tag has 100,000 characters at most, of which clients write each in up to 12 bytes.
const BODY_BYTES: u64 = 8 * 1024 * 1024;

type Entry = (Method, &'static str, Access, MethodRouter<Registry>);

fn model_entries() -> Vec<Entry> {
    vec![
        (
            Method::POST,
            "registered-models/create",
            WRITE,
            post(models::create),
        ),
        (Method::GET, "registered-models/get", READ, get(models::get)),
        (Method::GET, "registered-models/search", READ, get(models::search)),
        (
            Method::PATCH,
            "registered-models/update",
            WRITE,
            patch(models::update),
        ),
        (
            Method::POST,
            "registered-models/rename",
            PROMOTE,
            post(models::rename),
        ),
        (
            Method::DELETE,
            "registered-models/delete",
            PROMOTE,
            delete(models::delete),
        ),
        (
            Method::POST,
            "registered-models/set-tag",
            WRITE,
            post(models::set_tag),
        ),
        (
            Method::DELETE,
            "registered-models/delete-tag",
            WRITE,
            delete(models::delete_tag),
        ),
        (
            Method::GET,
            "registered-models/get-latest-versions",
            READ,
            get(models::latest),
        ),
        (
            Method::POST,
            "registered-models/get-latest-versions",
            READ,
            post(models::latest),
        ),
        (
            Method::POST,
            "registered-models/alias",
            PROMOTE,
            post(models::set_alias),
        ),
        (
            Method::DELETE,
            "registered-models/alias",
            PROMOTE,
            delete(models::delete_alias),
        ),
        (
            Method::GET,
            "registered-models/alias",
            READ,
            get(models::get_alias),
        ),
    ]
}

fn version_entries() -> Vec<Entry> {
    vec![
        (
            Method::POST,
            "model-versions/create",
            WRITE,
            post(versions::create),
        ),
        (Method::GET, "model-versions/get", READ, get(versions::get)),
        (Method::GET, "model-versions/search", READ, get(versions::search)),
        (
            Method::GET,
            "model-versions/get-download-uri",
            READ,
            get(versions::download_uri),
        ),
        (
            Method::PATCH,
            "model-versions/update",
            WRITE,
            patch(versions::update),
        ),
        (
            Method::DELETE,
            "model-versions/delete",
            PROMOTE,
            delete(versions::delete),
        ),
        (
            Method::POST,
            "model-versions/transition-stage",
            PROMOTE,
            post(versions::transition),
        ),
        (
            Method::POST,
            "model-versions/set-tag",
            WRITE,
            post(versions::set_tag),
        ),
        (
            Method::DELETE,
            "model-versions/delete-tag",
            WRITE,
            delete(versions::delete_tag),
        ),
    ]
}

fn webhook_entries() -> Vec<Entry> {
    let one = "webhooks/{webhook_id}";
    vec![
        (Method::POST, "webhooks", ADMIN, post(webhooks::create)),
        (Method::GET, "webhooks", ADMIN, get(webhooks::list)),
        (Method::GET, one, ADMIN, get(webhooks::get)),
        (Method::PATCH, one, ADMIN, patch(webhooks::update)),
        (Method::DELETE, one, ADMIN, delete(webhooks::delete)),
        (
            Method::POST,
            "webhooks/{webhook_id}/test",
            ADMIN,
            post(webhooks::test),
        ),
    ]
}

pub(super) fn routes(registry: Registry) -> Routes {
    let mut routes = Routes::new();
    let entries = [model_entries(), version_entries(), webhook_entries()].concat();
    for (method, path, access, handler) in entries {
        let handler = handler.with_state(registry.clone());
        for prefix in ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"] {
            let whole = format!("{prefix}{path}");
            routes = routes
                .route(method.clone(), &whole, access, Dialect::Mlflow, handler.clone())
                .body_limit(BODY_BYTES);
            if path.ends_with("/test") {
                // Waits for the receiver.
                routes = routes.streaming();
            }
        }
    }
    routes
        .route(
            Method::GET,
            "/model-versions/get-artifact",
            READ,
            Dialect::Mlflow,
            get(versions::artifact).with_state(registry),
        )
        .streaming()
}

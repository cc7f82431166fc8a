//! MLflow's registry dialect: `registered-models/*` and `model-versions/*`.

mod answer;
mod models;
mod refusal;
mod versions;
mod webhooks;

use axum::routing::get;
use corliss_http::{Dialect, Json, Routes};
use corliss_mlflow_wire::DialectRoutes;
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

fn model_routes(dialect: DialectRoutes<Registry>) -> DialectRoutes<Registry> {
    dialect
        .post(WRITE, "registered-models/create", models::create)
        .get(READ, "registered-models/get", models::get)
        .get(READ, "registered-models/search", models::search)
        .patch(WRITE, "registered-models/update", models::update)
        .post(PROMOTE, "registered-models/rename", models::rename)
        .delete(PROMOTE, "registered-models/delete", models::delete)
        .post(WRITE, "registered-models/set-tag", models::set_tag)
        .delete(WRITE, "registered-models/delete-tag", models::delete_tag)
        .get(READ, "registered-models/get-latest-versions", models::latest)
        .post(READ, "registered-models/get-latest-versions", models::latest)
        .post(PROMOTE, "registered-models/alias", models::set_alias)
        .delete(PROMOTE, "registered-models/alias", models::delete_alias)
        .get(READ, "registered-models/alias", models::get_alias)
}

fn version_routes(dialect: DialectRoutes<Registry>) -> DialectRoutes<Registry> {
    dialect
        .post(WRITE, "model-versions/create", versions::create)
        .get(READ, "model-versions/get", versions::get)
        .get(READ, "model-versions/search", versions::search)
        .get(READ, "model-versions/get-download-uri", versions::download_uri)
        .patch(WRITE, "model-versions/update", versions::update)
        .delete(PROMOTE, "model-versions/delete", versions::delete)
        .post(PROMOTE, "model-versions/transition-stage", versions::transition)
        .post(WRITE, "model-versions/set-tag", versions::set_tag)
        .delete(WRITE, "model-versions/delete-tag", versions::delete_tag)
}

fn webhook_routes(dialect: DialectRoutes<Registry>) -> DialectRoutes<Registry> {
    dialect
        .post(ADMIN, "webhooks", webhooks::create)
        .get(ADMIN, "webhooks", webhooks::list)
        .get(ADMIN, "webhooks/{webhook_id}", webhooks::get)
        .patch(ADMIN, "webhooks/{webhook_id}", webhooks::update)
        .delete(ADMIN, "webhooks/{webhook_id}", webhooks::delete)
        .waiting_post(ADMIN, "webhooks/{webhook_id}/test", webhooks::test)
}

pub(super) fn routes(registry: Registry) -> Routes {
    let dialect = DialectRoutes::new("2.0", registry.clone()).body_limit(BODY_BYTES);
    let dialect = webhook_routes(version_routes(model_routes(dialect)));
    dialect
        .finish()
        .route(
            Method::GET,
            "/model-versions/get-artifact",
            READ,
            Dialect::Mlflow,
            get(versions::artifact).with_state(registry),
        )
        .streaming()
}

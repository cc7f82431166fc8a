//! MLflow's REST dialect: version 3 of its traces under `/api/3.0/mlflow`, version 2 under `/api/2.0/mlflow`, each also
//! under `/ajax-api` for pages.
//!
//! What is not here answers 404 `ENDPOINT_NOT_FOUND`, which clients read as "this server does not have it".

mod answer;
mod artifact;
mod assessments;
mod datasets;
mod metrics;
mod scorers;
mod spans;
mod tags;
mod times;
mod v2;
mod v3;

use axum::routing::get;
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_mlflow_wire::DialectRoutes;
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::Value;

use crate::{Evaluation, Traces, limits};

type Answer = Result<Json<Value>, ApiError>;

const READ: Access = Access::Requires(Permission::TrackingRead);
const WRITE: Access = Access::Requires(Permission::TrackingWrite);

pub(super) fn routes(traces: Traces) -> Routes {
    let third = version_3(DialectRoutes::new("3.0", traces.clone()).body_limit(limits::BODY_BYTES));
    let second = version_2(DialectRoutes::new("2.0", traces.clone()).body_limit(limits::BODY_BYTES));
    let mut routes = third.finish().merge(second.finish());
    // Only pages ask for this one, so it has no path under `/api`.
    for path in [
        "/ajax-api/2.0/mlflow/get-trace-artifact",
        "/ajax-api/3.0/mlflow/get-trace-artifact",
    ] {
        let handler = get(artifact::get).with_state(traces.clone());
        routes = routes
            .route(Method::GET, path, READ, Dialect::Mlflow, handler)
            .streaming();
    }
    routes
}

fn version_3(version: DialectRoutes<Traces>) -> DialectRoutes<Traces> {
    version
        .post(WRITE, "traces", v3::start)
        .post(READ, "traces/search", v3::search)
        .get(READ, "traces/get", v3::get)
        .get(READ, "traces/batchGet", v3::batch_get)
        .post(READ, "traces/batchGetInfos", v3::batch_get_infos)
        .get(READ, "traces/{trace_id}", v3::info)
        .post(READ, "traces/metrics", metrics::query)
        .post(READ, "traces/calculate-filter-correlation", metrics::correlation)
        .post(WRITE, "traces/delete-traces", tags::delete_traces)
        .post(WRITE, "traces/link-to-run", tags::link_to_run)
        .patch(WRITE, "traces/{trace_id}/tags", tags::set)
        .delete(WRITE, "traces/{trace_id}/tags", tags::delete)
        .post(WRITE, "traces/{trace_id}/assessments", assessments::create)
        .get(
            READ,
            "traces/{trace_id}/assessments/{assessment_id}",
            assessments::get,
        )
        .patch(
            WRITE,
            "traces/{trace_id}/assessments/{assessment_id}",
            assessments::update,
        )
        .delete(
            WRITE,
            "traces/{trace_id}/assessments/{assessment_id}",
            assessments::delete,
        )
}

fn version_2(version: DialectRoutes<Traces>) -> DialectRoutes<Traces> {
    version
        .post(WRITE, "traces", v2::start)
        .get(READ, "traces", v2::search)
        .patch(WRITE, "traces/{request_id}", v2::end)
        .get(READ, "traces/{request_id}/info", v2::info)
        .patch(WRITE, "traces/{request_id}/tags", tags::set)
        .delete(WRITE, "traces/{request_id}/tags", tags::delete)
        .post(WRITE, "traces/delete-traces", tags::delete_traces)
        .post(WRITE, "traces/link-to-run", tags::link_to_run)
        .post(WRITE, "traces/link-prompts", tags::link_prompts)
}

/// Routes of datasets and scorers.
pub(super) fn evaluation_routes(evaluation: Evaluation) -> Routes {
    DialectRoutes::new("3.0", evaluation)
        .body_limit(limits::BODY_BYTES)
        .post(WRITE, "datasets/create", datasets::create)
        .get(READ, "datasets/search", datasets::search)
        .post(READ, "datasets/search", datasets::search)
        .get(READ, "datasets/{dataset_id}", datasets::get)
        .delete(WRITE, "datasets/{dataset_id}", datasets::delete)
        .patch(WRITE, "datasets/{dataset_id}/tags", datasets::set_tags)
        .delete(WRITE, "datasets/{dataset_id}/tags/{key}", datasets::delete_tag)
        .get(
            READ,
            "datasets/{dataset_id}/experiment-ids",
            datasets::experiment_ids,
        )
        .post(
            WRITE,
            "datasets/{dataset_id}/add-experiments",
            datasets::add_experiments,
        )
        .post(
            WRITE,
            "datasets/{dataset_id}/remove-experiments",
            datasets::remove_experiments,
        )
        .post(WRITE, "scorers/register", scorers::register)
        .get(READ, "scorers/list", scorers::list)
        .get(READ, "scorers/versions", scorers::versions)
        .get(READ, "scorers/get", scorers::get)
        .delete(WRITE, "scorers/delete", scorers::delete)
        .get(READ, "scorers/online-configs", scorers::online_configs)
        .body_limit(limits::RECORDS_BODY_BYTES)
        .get(READ, "datasets/{dataset_id}/records", datasets::records)
        .post(WRITE, "datasets/{dataset_id}/records", datasets::merge_records)
        .delete(WRITE, "datasets/{dataset_id}/records", datasets::delete_records)
        .finish()
}

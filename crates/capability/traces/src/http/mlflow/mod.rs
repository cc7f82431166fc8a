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

use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, patch, post};
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde_json::Value;

use crate::{Evaluation, Traces, limits};

type Answer = Result<Json<Value>, ApiError>;

const READ: Access = Access::Requires(Permission::TrackingRead);
const WRITE: Access = Access::Requires(Permission::TrackingWrite);

/// Routes of one version of the dialect, under both its prefixes.
struct Version<S> {
    number: &'static str,
    routes: Routes,
    state: S,
}

impl<S: Clone + Send + Sync + 'static> Version<S> {
    fn new(number: &'static str, state: S) -> Self {
        Self {
            number,
            routes: Routes::new(),
            state,
        }
    }

    fn add(mut self, method: Method, path: &str, access: Access, handler: MethodRouter<S>) -> Self {
        for prefix in ["/api", "/ajax-api"] {
            let handler = handler.clone().with_state(self.state.clone());
            let path = format!("{prefix}/{}/mlflow/{path}", self.number);
            self.routes = self
                .routes
                .route(method.clone(), &path, access, Dialect::Mlflow, handler)
                .body_limit(if path.ends_with("/records") {
                    limits::RECORDS_BODY_BYTES
                } else {
                    limits::BODY_BYTES
                });
        }
        self
    }

    fn read<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::GET, path, READ, get(handler))
    }

    /// A read whose arguments are too long for a query.
    fn query<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::POST, path, READ, post(handler))
    }

    fn write<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::POST, path, WRITE, post(handler))
    }

    fn change<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::PATCH, path, WRITE, patch(handler))
    }

    fn remove<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.add(Method::DELETE, path, WRITE, delete(handler))
    }
}

pub(super) fn routes(traces: Traces) -> Routes {
    let third = version_3(Version::new("3.0", traces.clone()));
    let second = version_2(Version::new("2.0", traces.clone()));
    let mut routes = third.routes.merge(second.routes);
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

fn version_3(version: Version<Traces>) -> Version<Traces> {
    version
        .write("traces", v3::start)
        .query("traces/search", v3::search)
        .read("traces/get", v3::get)
        .read("traces/batchGet", v3::batch_get)
        .query("traces/batchGetInfos", v3::batch_get_infos)
        .read("traces/{trace_id}", v3::info)
        .query("traces/metrics", metrics::query)
        .query("traces/calculate-filter-correlation", metrics::correlation)
        .write("traces/delete-traces", tags::delete_traces)
        .write("traces/link-to-run", tags::link_to_run)
        .change("traces/{trace_id}/tags", tags::set)
        .remove("traces/{trace_id}/tags", tags::delete)
        .write("traces/{trace_id}/assessments", assessments::create)
        .read("traces/{trace_id}/assessments/{assessment_id}", assessments::get)
        .change(
            "traces/{trace_id}/assessments/{assessment_id}",
            assessments::update,
        )
        .remove(
            "traces/{trace_id}/assessments/{assessment_id}",
            assessments::delete,
        )
}

fn version_2(version: Version<Traces>) -> Version<Traces> {
    version
        .write("traces", v2::start)
        .read("traces", v2::search)
        .change("traces/{request_id}", v2::end)
        .read("traces/{request_id}/info", v2::info)
        .change("traces/{request_id}/tags", tags::set)
        .remove("traces/{request_id}/tags", tags::delete)
        .write("traces/delete-traces", tags::delete_traces)
        .write("traces/link-to-run", tags::link_to_run)
        .write("traces/link-prompts", tags::link_prompts)
}

/// Routes of datasets and scorers.
pub(super) fn evaluation_routes(evaluation: Evaluation) -> Routes {
    Version::new("3.0", evaluation)
        .write("datasets/create", datasets::create)
        .read("datasets/search", datasets::search)
        .query("datasets/search", datasets::search)
        .read("datasets/{dataset_id}", datasets::get)
        .remove("datasets/{dataset_id}", datasets::delete)
        .change("datasets/{dataset_id}/tags", datasets::set_tags)
        .remove("datasets/{dataset_id}/tags/{key}", datasets::delete_tag)
        .read("datasets/{dataset_id}/experiment-ids", datasets::experiment_ids)
        .write("datasets/{dataset_id}/add-experiments", datasets::add_experiments)
        .write(
            "datasets/{dataset_id}/remove-experiments",
            datasets::remove_experiments,
        )
        .read("datasets/{dataset_id}/records", datasets::records)
        .write("datasets/{dataset_id}/records", datasets::merge_records)
        .remove("datasets/{dataset_id}/records", datasets::delete_records)
        .write("scorers/register", scorers::register)
        .read("scorers/list", scorers::list)
        .read("scorers/versions", scorers::versions)
        .read("scorers/get", scorers::get)
        .remove("scorers/delete", scorers::delete)
        .read("scorers/online-configs", scorers::online_configs)
        .routes
}

//! MLflow's REST dialect: version 3 of its traces under `/api/3.0/mlflow`, version 2 under `/api/2.0/mlflow`, each also
//! under `/ajax-api` for pages.
//!
//! What is not here answers 404 `ENDPOINT_NOT_FOUND`, which clients read as "this server does not have it".

mod answer;
mod artifact;
mod assessments;
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

use crate::{Traces, limits};

type Answer = Result<Json<Value>, ApiError>;

const READ: Access = Access::Requires(Permission::TrackingRead);
const WRITE: Access = Access::Requires(Permission::TrackingWrite);

/// Routes of one version of the dialect, under both its prefixes.
struct Version {
    number: &'static str,
    routes: Routes,
    traces: Traces,
}

impl Version {
    fn add(mut self, method: Method, path: &str, access: Access, handler: MethodRouter<Traces>) -> Self {
        for prefix in ["/api", "/ajax-api"] {
            let handler = handler.clone().with_state(self.traces.clone());
            let path = format!("{prefix}/{}/mlflow/{path}", self.number);
            self.routes = self
                .routes
                .route(method.clone(), &path, access, Dialect::Mlflow, handler)
                .body_limit(limits::BODY_BYTES);
        }
        self
    }

    fn read<T: 'static>(self, path: &str, handler: impl Handler<T, Traces>) -> Self {
        self.add(Method::GET, path, READ, get(handler))
    }

    /// A read whose arguments are too long for a query.
    fn query<T: 'static>(self, path: &str, handler: impl Handler<T, Traces>) -> Self {
        self.add(Method::POST, path, READ, post(handler))
    }

    fn write<T: 'static>(self, path: &str, handler: impl Handler<T, Traces>) -> Self {
        self.add(Method::POST, path, WRITE, post(handler))
    }

    fn change<T: 'static>(self, path: &str, handler: impl Handler<T, Traces>) -> Self {
        self.add(Method::PATCH, path, WRITE, patch(handler))
    }

    fn remove<T: 'static>(self, path: &str, handler: impl Handler<T, Traces>) -> Self {
        self.add(Method::DELETE, path, WRITE, delete(handler))
    }
}

pub(super) fn routes(traces: Traces) -> Routes {
    let third = version_3(Version {
        number: "3.0",
        routes: Routes::new(),
        traces: traces.clone(),
    });
    let second = version_2(Version {
        number: "2.0",
        routes: third.routes,
        traces: traces.clone(),
    });
    let mut routes = second.routes;
    // Only pages ask for this one, so it has no path under `/api`.
    for path in [
        "/ajax-api/2.0/mlflow/get-trace-artifact",
        "/ajax-api/3.0/mlflow/get-trace-artifact",
    ] {
        let handler = get(artifact::get).with_state(traces.clone());
        routes = routes.route(Method::GET, path, READ, Dialect::Mlflow, handler);
    }
    routes
}

fn version_3(version: Version) -> Version {
    version
        .write("traces", v3::start)
        .query("traces/search", v3::search)
        .read("traces/get", v3::get)
        .read("traces/batchGet", v3::batch_get)
        .query("traces/batchGetInfos", v3::batch_get_infos)
        .read("traces/{trace_id}", v3::info)
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

fn version_2(version: Version) -> Version {
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

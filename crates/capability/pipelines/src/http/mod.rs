//! The native routes of pipelines.

mod events;
mod runs;

use std::sync::Arc;

use axum::routing::{get, post};
use corliss_http::{Dialect, Routes};
use corliss_types::{Access, Permission};
use http::Method;

use crate::Pipelines;
use crate::project_file::MAX_BYTES;

/// A project file, escaped as JSON, and the rest of a submission.
const SUBMIT_LIMIT_BYTES: u64 = 3 * MAX_BYTES as u64;

impl Pipelines {
    /// The routes of this capability.
    #[must_use]
    pub fn routes(self: &Arc<Self>) -> Routes {
        let reads = Access::Requires(Permission::RunsRead);
        let writes = Access::Requires(Permission::RunsWrite);
        let (native, me) = (Dialect::Native, || self.clone());
        Routes::new()
            .route(
                Method::POST,
                "/api/v1/runs",
                writes,
                native,
                post(runs::create).with_state(me()),
            )
            .body_limit(SUBMIT_LIMIT_BYTES)
            .route(
                Method::POST,
                "/api/v1/runs/validate",
                reads,
                native,
                post(runs::validate).with_state(me()),
            )
            .body_limit(SUBMIT_LIMIT_BYTES)
            .route(
                Method::GET,
                "/api/v1/runs",
                reads,
                native,
                get(runs::list).with_state(me()),
            )
            .route(
                Method::GET,
                "/api/v1/runs/{id}",
                reads,
                native,
                get(runs::detail).with_state(me()),
            )
            .route(
                Method::POST,
                "/api/v1/runs/{id}/cancel",
                writes,
                native,
                post(runs::cancel).with_state(me()),
            )
            .route(
                Method::POST,
                "/api/v1/runs/{id}/rerun",
                writes,
                native,
                post(runs::rerun).with_state(me()),
            )
            .route(
                Method::GET,
                "/api/v1/runs/{id}/events",
                reads,
                native,
                get(events::follow).with_state(me()),
            )
            .streaming()
            .route(
                Method::GET,
                "/api/v1/schema/project-file",
                Access::Public,
                native,
                get(runs::schema),
            )
    }
}

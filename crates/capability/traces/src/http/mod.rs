//! The protocols that traces are spoken in.

mod mlflow;
mod native;
mod otlp;

use crate::{Evaluation, Traces};
use corliss_http::Routes;

/// All routes of traces.
#[must_use]
pub fn routes(traces: Traces) -> Routes {
    mlflow::routes(traces.clone())
        .merge(native::routes(traces.clone()))
        .merge(otlp::routes(traces))
}

/// All routes of datasets and scorers.
#[must_use]
pub fn evaluation_routes(evaluation: Evaluation) -> Routes {
    mlflow::evaluation_routes(evaluation)
}

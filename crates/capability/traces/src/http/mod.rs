//! The protocols that traces are spoken in.

mod mlflow;
mod otlp;

use crate::Traces;
use corliss_http::Routes;

/// All routes of traces.
#[must_use]
pub fn routes(traces: Traces) -> Routes {
    mlflow::routes(traces.clone()).merge(otlp::routes(traces))
}

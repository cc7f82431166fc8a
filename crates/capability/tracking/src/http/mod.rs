//! The protocols that tracking speaks.

mod mlflow;
mod native;

use crate::Tracking;
use corliss_http::Routes;

/// All routes of tracking.
#[must_use]
pub fn routes(tracking: Tracking) -> Routes {
    native::routes(tracking.clone()).merge(mlflow::routes(tracking))
}

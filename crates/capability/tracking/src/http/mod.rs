//! The protocols that tracking speaks.

mod mlflow;

use crate::Tracking;
use corliss_http::Routes;

/// All routes of tracking.
#[must_use]
pub fn routes(tracking: Tracking) -> Routes {
    mlflow::routes(tracking)
}

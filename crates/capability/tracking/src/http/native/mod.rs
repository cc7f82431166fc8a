//! `/api/v1/tracking`: what MLflow's dialect has no words for.

mod import;
mod purge;

use corliss_http::Routes;

use crate::Tracking;

pub(super) fn routes(tracking: Tracking) -> Routes {
    purge::routes(tracking.clone()).merge(import::routes(tracking))
}

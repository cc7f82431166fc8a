//! The loop that deletes the traces of experiments that were removed for good.
//!
//! It compares what is here with what experiments there are, so it does not matter when one was removed, or whether
//! somebody was killed between removing it and saying so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::counted;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};

use crate::Traces;

const PERIOD: Duration = Duration::from_hours(1);

/// Starts what traces do in the background; `purged` says that experiments were removed for good.
pub fn spawn(traces: &Traces, purged: Wake, shutdown: &Shutdown, workers: &WorkerBoard) {
    let sweeper = Arc::new(Sweeper(traces.clone()));
    corliss_reconcile::spawn(sweeper, PERIOD, purged, shutdown.clone(), workers);
}

struct Sweeper(Traces);

#[async_trait]
impl Reconciler for Sweeper {
    fn name(&self) -> &'static str {
        "traces.orphans"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let deleted = self.0.delete_orphans().await?;
        let deleted = usize::try_from(deleted).unwrap_or(usize::MAX);
        Ok(Outcome::done(format!(
            "{} of purged experiments deleted",
            counted(deleted, "trace", "traces")
        )))
    }
}

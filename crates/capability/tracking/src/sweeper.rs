//! The loop that forgets uploads which nobody completes; what they held is collected as all is that nobody refers to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};

use crate::Tracking;

const PERIOD: Duration = Duration::from_secs(60 * 60);

/// Starts what tracking does in the background.
pub fn spawn(tracking: &Tracking, shutdown: &Shutdown, workers: &WorkerBoard) {
    let sweeper = Arc::new(Sweeper(tracking.clone()));
    corliss_reconcile::spawn(sweeper, PERIOD, Wake::new(), shutdown.clone(), workers);
}

struct Sweeper(Tracking);

#[async_trait]
impl Reconciler for Sweeper {
    fn name(&self) -> &'static str {
        "tracking.uploads"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let forgotten = self.0.forget_uploads().await?;
        Ok(Outcome::done(format!("{forgotten} uploads forgotten")))
    }
}

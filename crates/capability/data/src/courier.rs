//! The loop that tells hooks what has happened. What is to be told are rows that were written with the moves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use corliss_types::Timestamp;
use corliss_webhook::{Courier, Outbox, Tried};

use crate::{DataError, DataService};

/// Covers a signal that was lost.
const PERIOD: Duration = Duration::from_secs(60);

/// Starts it.
pub(crate) fn spawn(service: &DataService, shutdown: &Shutdown, workers: &WorkerBoard) {
    let courier = Arc::new(HookCourier::new(service, shutdown));
    corliss_reconcile::spawn(courier, PERIOD, service.hook_wake(), shutdown.clone(), workers);
}

/// Tells hooks what has happened; several may work on one database.
pub struct HookCourier(Courier<HookOutbox>);

impl HookCourier {
    /// One that has told nobody yet.
    #[must_use]
    pub fn new(service: &DataService, shutdown: &Shutdown) -> Self {
        let outbox = HookOutbox {
            service: service.clone(),
            wake: service.hook_wake(),
            owner: service.new_owner(),
        };
        Self(Courier::new(outbox, shutdown))
    }
}

#[async_trait]
impl Reconciler for HookCourier {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        self.0.reconcile().await
    }
}

struct HookOutbox {
    service: DataService,
    wake: Wake,
    /// In whose name events are claimed.
    owner: String,
}

#[async_trait]
impl Outbox for HookOutbox {
    type Error = DataError;

    fn name(&self) -> &'static str {
        "data.hooks"
    }

    fn now(&self) -> Timestamp {
        self.service.now()
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }

    async fn waiting(&self) -> Result<Vec<(String, Timestamp)>, DataError> {
        self.service.waiting_hooks().await
    }

    async fn try_oldest(&self, hook: &str) -> Result<Tried, DataError> {
        self.service.try_delivery(hook, &self.owner).await
    }

    async fn forget(&self) -> Result<(), DataError> {
        self.service.forget_deliveries().await.map(drop)
    }
}

//! The loop that tells webhooks what has happened. What is to be told are rows that were written with the changes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use corliss_types::Timestamp;
use corliss_webhook::{Courier, Outbox, Tried};

use crate::{Registry, RegistryError};

/// Covers a signal that was lost.
const PERIOD: Duration = Duration::from_secs(60);

/// Starts what the registry does in the background: telling webhooks.
pub fn spawn(registry: &Registry, shutdown: &Shutdown, workers: &WorkerBoard) {
    let courier = Arc::new(WebhookCourier::new(registry, shutdown));
    corliss_reconcile::spawn(courier, PERIOD, registry.wake(), shutdown.clone(), workers);
}

/// Tells webhooks what has happened; several may work on one database.
pub struct WebhookCourier(Courier<WebhookOutbox>);

impl WebhookCourier {
    /// One that has told nobody yet.
    #[must_use]
    pub fn new(registry: &Registry, shutdown: &Shutdown) -> Self {
        let outbox = WebhookOutbox {
            registry: registry.clone(),
            wake: registry.wake(),
            owner: registry.new_uuid(),
        };
        Self(Courier::new(outbox, shutdown))
    }
}

#[async_trait]
impl Reconciler for WebhookCourier {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        self.0.reconcile().await
    }
}

struct WebhookOutbox {
    registry: Registry,
    wake: Wake,
    /// In whose name events are claimed.
    owner: String,
}

#[async_trait]
impl Outbox for WebhookOutbox {
    type Error = RegistryError;

    fn name(&self) -> &'static str {
        "registry.webhooks"
    }

    fn now(&self) -> Timestamp {
        self.registry.now()
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }

    async fn waiting(&self) -> Result<Vec<(String, Timestamp)>, RegistryError> {
        self.registry.waiting_webhooks().await
    }

    async fn try_oldest(&self, webhook: &str) -> Result<Tried, RegistryError> {
        self.registry.try_delivery(webhook, &self.owner).await
    }

    async fn forget(&self) -> Result<(), RegistryError> {
        self.registry.forget_deliveries().await.map(drop)
    }
}

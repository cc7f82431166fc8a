//! The loop that tells webhooks what has happened. What is to be told are rows that were written with the changes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_metastore::{Metastore, StoreError, Tx};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use corliss_types::Timestamp;
use corliss_webhook::{Courier, HeaderNames, Queue, Receivers, Secret, WebhookClient};

use crate::store::{disable_webhook, outbox};
use crate::webhook::delivery_id;
use crate::{Registry, SealedSecret};

/// Covers a signal that was lost.
const PERIOD: Duration = Duration::from_secs(60);

/// Starts what the registry does in the background: telling webhooks.
pub fn spawn(registry: &Registry, shutdown: &Shutdown, workers: &WorkerBoard) {
    let courier = Arc::new(WebhookCourier::new(registry, shutdown));
    corliss_reconcile::spawn(courier, PERIOD, registry.wake(), shutdown.clone(), workers);
}

/// Tells webhooks what has happened; several may work on one database.
pub struct WebhookCourier(Courier<Webhooks>);

impl WebhookCourier {
    /// One that has told nobody yet.
    #[must_use]
    pub fn new(registry: &Registry, shutdown: &Shutdown) -> Self {
        let webhooks = Webhooks {
            registry: registry.clone(),
            wake: registry.wake(),
        };
        Self(Courier::new(webhooks, registry.new_uuid(), shutdown))
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

struct Webhooks {
    registry: Registry,
    wake: Wake,
}

impl Receivers for Webhooks {
    const NAME: &'static str = "registry.webhooks";
    const QUEUE: Queue = outbox::QUEUE;
    const HEADERS: HeaderNames = HeaderNames::MLFLOW;

    fn store(&self) -> &Metastore {
        self.registry.store()
    }

    fn client(&self) -> &WebhookClient {
        self.registry.webhook_client()
    }

    fn now(&self) -> Timestamp {
        self.registry.now()
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }

    fn message_id(webhook: &str, sequence: u64) -> String {
        delivery_id(webhook, sequence)
    }

    fn open(&self, webhook: &str, sealed: &SealedSecret) -> Result<Secret, String> {
        self.registry.open_secret(webhook, sealed)
    }

    fn gone(tx: &mut dyn Tx, webhook: &str, now: Timestamp) -> Result<(), StoreError> {
        disable_webhook(tx, webhook, now.as_millis())
    }
}

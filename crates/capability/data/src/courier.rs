//! The loop that tells hooks what has happened. What is to be told are rows that were written with the moves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_metastore::{Metastore, StoreError, Tx};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard};
use corliss_types::Timestamp;
use corliss_webhook::{Courier, HeaderNames, Queue, Receivers, SealedSecret, Secret, WebhookClient};

use crate::DataService;
use crate::hook::message_id;
use crate::store::{hooks, outbox};

/// Covers a signal that was lost.
const PERIOD: Duration = Duration::from_secs(60);

/// Starts it.
pub(crate) fn spawn(service: &DataService, shutdown: &Shutdown, workers: &WorkerBoard) {
    let courier = Arc::new(HookCourier::new(service, shutdown));
    corliss_reconcile::spawn(courier, PERIOD, service.hook_wake(), shutdown.clone(), workers);
}

/// Tells hooks what has happened; several may work on one database.
pub struct HookCourier(Courier<Hooks>);

impl HookCourier {
    /// One that has told nobody yet.
    #[must_use]
    pub fn new(service: &DataService, shutdown: &Shutdown) -> Self {
        let hooks = Hooks {
            service: service.clone(),
            wake: service.hook_wake(),
        };
        Self(Courier::new(hooks, service.new_owner(), shutdown))
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

struct Hooks {
    service: DataService,
    wake: Wake,
}

impl Receivers for Hooks {
    const NAME: &'static str = "data.hooks";
    const QUEUE: Queue = outbox::QUEUE;
    const HEADERS: HeaderNames = HeaderNames::STANDARD;

    fn store(&self) -> &Metastore {
        self.service.store()
    }

    fn client(&self) -> &WebhookClient {
        self.service.webhook_client()
    }

    fn now(&self) -> Timestamp {
        self.service.now()
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }

    fn message_id(hook: &str, sequence: u64) -> String {
        message_id(hook, sequence)
    }

    fn open(&self, hook: &str, sealed: &SealedSecret) -> Result<Secret, String> {
        let opened = self.service.open_secret(hook, sealed);
        opened.map_err(|error| error.to_string())
    }

    fn gone(tx: &mut dyn Tx, hook: &str, now: Timestamp) -> Result<(), StoreError> {
        hooks::disable(tx, hook, "its receiver answered that it is gone (410)", now)
    }
}

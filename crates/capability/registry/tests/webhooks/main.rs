//! Webhooks: what is told, in what order, signed how, and what happens when receivers or servers fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod faults;
mod receiver;
mod routes;
#[path = "../support/mod.rs"]
mod support;
mod told;

use std::sync::Arc;

use corliss_clock::{ManualClock, Sources};
use corliss_metastore::Metastore;
use corliss_reconcile::{Reconciler, Shutdown};
use corliss_registry::{
    DeliveryState, MIGRATIONS, NewWebhook, Registry, Webhook, WebhookCourier, WebhookEvent,
};
use corliss_types::Timestamp;
use corliss_webhook::Reach;

const NOW_MS: i64 = 1_700_000_000_000;

/// A registry that may tell receivers on this machine, and its clock.
fn registry(store: Metastore) -> (Registry, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW_MS)));
    let sources = Sources::replayable(clock.clone(), 5);
    let reach = Reach::with(["127.0.0.1"]).unwrap();
    (support::registry_with(store, sources, reach).0, clock)
}

async fn in_memory() -> (Registry, Arc<ManualClock>) {
    registry(Metastore::in_memory(&[MIGRATIONS]).await.unwrap())
}

/// Tells all that can be told now.
async fn deliver(registry: &Registry) {
    let courier = WebhookCourier::new(registry, &Shutdown::new());
    courier.reconcile().await.unwrap();
}

async fn webhook(registry: &Registry, url: String, events: &[WebhookEvent]) -> Webhook {
    let new = NewWebhook {
        name: "hook".into(),
        url,
        description: String::new(),
        events: events.to_vec(),
        secret: Some("shh".into()),
        is_active: true,
    };
    registry.create_webhook(new, "root").await.unwrap()
}

/// State and tries of each, oldest first.
async fn states(registry: &Registry, webhook: &Webhook) -> Vec<(DeliveryState, u32)> {
    let mut all = registry.webhook_deliveries(&webhook.id).await.unwrap();
    all.reverse();
    all.iter().map(|one| (one.state, one.tries)).collect()
}

async fn model(registry: &Registry, name: &str) {
    let made = registry.create_model(name.into(), String::new(), vec![]).await;
    made.unwrap();
}

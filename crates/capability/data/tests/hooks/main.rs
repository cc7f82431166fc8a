//! Hooks: told after, asked before, and what happens when receivers or servers fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod after;
mod before;
mod http;
mod receiver;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use corliss_clock::ManualClock;
use corliss_data::{DataService, DeliveryState, HookCourier, HookDelivery, HookWithSecret, NewHook};
use corliss_metastore::Metastore;
use corliss_reconcile::{Reconciler, Shutdown};
use corliss_webhook::{Reach, WebhookClient};
use support::name;

/// A client that reaches receivers on this machine.
fn client() -> WebhookClient {
    WebhookClient::new(Reach::with(["127.0.0.1"]).unwrap())
}

async fn service(store: Metastore) -> (DataService, Arc<ManualClock>) {
    let (service, clock) = support::service(store).await;
    (service.with_webhooks(client()), clock)
}

async fn in_memory() -> (DataService, Arc<ManualClock>) {
    service(Metastore::in_memory(&[corliss_data::MIGRATIONS]).await.unwrap()).await
}

fn courier(service: &DataService) -> HookCourier {
    HookCourier::new(service, &Shutdown::new())
}

/// Tells hooks all that can be told now.
async fn deliver(service: &DataService) {
    courier(service).reconcile().await.unwrap();
}

async fn hook(service: &DataService, dataset: &str, new: NewHook) -> HookWithSecret {
    service.create_hook(&name(dataset), new, "root").await.unwrap()
}

async fn deliveries(service: &DataService, hook: &HookWithSecret) -> Vec<HookDelivery> {
    let hook = &hook.hook;
    let mut all = service
        .hook_deliveries(&hook.dataset, &hook.id, u64::MAX, 1000)
        .await
        .unwrap();
    all.reverse();
    all
}

/// State and tries of each, oldest first.
async fn states(service: &DataService, hook: &HookWithSecret) -> Vec<(DeliveryState, u32)> {
    let all = deliveries(service, hook).await;
    all.iter().map(|one| (one.state, one.tries)).collect()
}

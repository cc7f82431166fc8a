//! What happens when receivers are slow, refuse, break off, lead elsewhere or die; and when a server dies.

use corliss_metastore::{Metastore, MetastoreConfig, StoreError, params};
use corliss_reconcile::{Reconciler, Shutdown};
use corliss_registry::DeliveryState::{Delivered, Failed, Pending};
use corliss_registry::{MIGRATIONS, WebhookChange, WebhookCourier, WebhookEvent};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::DurationMs;

use crate::receiver::{Does, Receiver, Seen};
use crate::{deliver, in_memory, model, registry, states, webhook};

const CREATED: &[WebhookEvent] = &[WebhookEvent::RegisteredModelCreated];

#[tokio::test]
async fn what_breaks_off_is_sent_again_under_its_id_and_holds_up_the_others() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, clock) = registry(store);
        let receiver = Receiver::start().await;
        let hook = webhook(&registry, receiver.url(), CREATED).await;
        for name in ["a", "b", "c"] {
            model(&registry, name).await;
        }
        receiver.does(&[Does::Says(500), Does::Closes, Does::Stops, Does::Says(429)]);
        for tries in 1..=4 {
            deliver(&registry).await;
            // It is not yet time, so this does nothing.
            deliver(&registry).await;
            assert_eq!(
                states(&registry, &hook).await,
                [(Pending, tries), (Pending, 0), (Pending, 0)]
            );
            clock.advance(DurationMs::from_secs(600));
        }
        deliver(&registry).await;
        assert_eq!(
            states(&registry, &hook).await,
            [(Delivered, 5), (Delivered, 1), (Delivered, 1)]
        );
        let seen = receiver.seen();
        let names: Vec<&str> = seen
            .iter()
            .map(|one| one.body["data"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "a", "a", "a", "a", "b", "c"]);
        let first: std::collections::BTreeSet<&str> = seen[..5].iter().map(Seen::id).collect();
        assert_eq!(first.len(), 1);
        // What is sent is the same each time; when it was sent is not, and that is signed.
        assert_eq!(seen[0].text, seen[4].text);
        assert_ne!(
            seen[0].header("X-MLflow-Signature"),
            seen[4].header("X-MLflow-Signature")
        );
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_died_gets_all_of_it_when_it_is_back() {
    let (registry, clock) = in_memory().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&registry, receiver.url(), CREATED).await;
    let place = receiver.stop().await;
    for name in ["a", "b"] {
        model(&registry, name).await;
    }
    deliver(&registry).await;
    assert_eq!(states(&registry, &hook).await, [(Pending, 1), (Pending, 0)]);
    let receiver = Receiver::at(place).await;
    clock.advance(DurationMs::from_secs(60));
    deliver(&registry).await;
    assert_eq!(states(&registry, &hook).await, [(Delivered, 2), (Delivered, 1)]);
    assert_eq!(receiver.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_or_a_redirect_ends_one_event_and_410_ends_the_webhook() {
    let (registry, _) = in_memory().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&registry, receiver.url(), CREATED).await;
    for name in ["a", "b", "c", "d"] {
        model(&registry, name).await;
    }
    receiver.does(&[Does::Says(400), Does::Redirects, Does::Says(204), Does::Says(410)]);
    deliver(&registry).await;
    assert_eq!(
        states(&registry, &hook).await,
        [(Failed, 1), (Failed, 1), (Delivered, 1), (Failed, 1)]
    );
    let told = registry.webhook_deliveries(&hook.id).await.unwrap();
    assert_eq!(
        (told[2].status, told[2].outcome.as_deref()),
        (Some(302), Some("it answered 302"))
    );
    assert!(!registry.webhook(&hook.id).await.unwrap().is_active);
    model(&registry, "e").await;
    deliver(&registry).await;
    assert_eq!(receiver.seen().len(), 4, "nothing goes to one that is gone");
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_else_and_no_change() {
    let (registry, _) = in_memory().await;
    let (slow, fast) = (Receiver::start().await, Receiver::start().await);
    slow.does(&[Does::Hangs]);
    webhook(&registry, slow.url(), CREATED).await;
    webhook(&registry, fast.url(), CREATED).await;
    let courier = WebhookCourier::new(&registry, &Shutdown::new());
    let told = tokio::spawn(async move { courier.reconcile().await.map(drop).map_err(|_| ()) });
    model(&registry, "a").await;
    slow.has_seen(1).await;
    model(&registry, "b").await;
    fast.has_seen(2).await;
    assert_eq!(slow.seen().len(), 1);
    told.abort();
}

#[tokio::test]
async fn what_a_server_left_behind_that_died_is_sent_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = MetastoreConfig::Sqlite {
        path: folder.path().join("meta.db"),
    };
    let receiver = Receiver::start().await;
    let store = Metastore::open(&at, &[MIGRATIONS]).await.unwrap();
    let (first, _) = registry(store.clone());
    let hook = webhook(&first, receiver.url(), CREATED).await;
    for name in ["a", "b"] {
        model(&first, name).await;
    }
    // Dead between claiming and sending: the lease is all that is left.
    receiver.does(&[Does::Hangs]);
    let courier = WebhookCourier::new(&first, &Shutdown::new());
    let dying = tokio::spawn(async move { courier.reconcile().await.map(drop).map_err(|_| ()) });
    receiver.has_seen(1).await;
    dying.abort();
    let _ = dying.await;
    drop((first, store));
    let (second, clock) = registry(Metastore::open(&at, &[MIGRATIONS]).await.unwrap());
    deliver(&second).await;
    assert_eq!(receiver.seen().len(), 1, "the lease still holds");
    clock.advance(DurationMs::from_secs(120));
    deliver(&second).await;
    assert_eq!(states(&second, &hook).await, [(Delivered, 1), (Delivered, 1)]);
    let ids: Vec<String> = receiver.seen().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!((ids.len(), &ids[0]), (3, &ids[1]), "at least once, under one id");
}

#[tokio::test]
async fn the_queue_of_a_receiver_that_is_gone_is_bounded_and_ends() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let (registry, clock) = registry(store.clone());
    let receiver = Receiver::start().await;
    let hook = webhook(&registry, receiver.url(), CREATED).await;
    let place = receiver.stop().await;
    model(&registry, "a").await;
    // As if ten thousand had come.
    store
        .write(|tx| {
            tx.execute("UPDATE registry_webhook SET last_sequence = 10000", params![])?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    model(&registry, "b").await;
    assert_eq!(states(&registry, &hook).await.len(), 1, "it is dropped");
    for _ in 0..40 {
        deliver(&registry).await;
        clock.advance(DurationMs::from_secs(3 * 60 * 60));
    }
    let (state, tries) = states(&registry, &hook).await[0];
    assert!(state == Failed && tries > 3, "{state:?} {tries}");
    let receiver = Receiver::at(place).await;
    model(&registry, "c").await;
    deliver(&registry).await;
    assert_eq!(receiver.seen().len(), 1);
    clock.advance(DurationMs::from_secs(15 * 24 * 60 * 60));
    deliver(&registry).await;
    assert_eq!(
        states(&registry, &hook).await,
        [],
        "it is forgotten after two weeks"
    );
}

#[tokio::test]
async fn what_waits_goes_to_the_new_address() {
    let (registry, clock) = in_memory().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let hook = webhook(&registry, old.url(), CREATED).await;
    old.does(&[Does::Says(503)]);
    model(&registry, "a").await;
    deliver(&registry).await;
    let change = WebhookChange {
        url: Some(new.url()),
        ..WebhookChange::default()
    };
    registry.change_webhook(&hook.id, change).await.unwrap();
    clock.advance(DurationMs::from_secs(60));
    deliver(&registry).await;
    assert_eq!((old.seen().len(), new.seen().len()), (1, 1));
    assert_eq!(old.seen()[0].id(), new.seen()[0].id());
}

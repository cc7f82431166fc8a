//! Hooks that are told after something moved.

use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_data::DeliveryState::{Delivered, Failed, Pending};
use corliss_data::{
    ConflictPolicy, DataError, DataService, HookChange, HookEvent, Limits, MIGRATIONS, NewHook, RefKind,
    Reference, Target,
};
use corliss_keyring::{FileRootKey, RootKey};
use corliss_metastore::{Metastore, MetastoreConfig, StoreError, params};
use corliss_reconcile::{Reconciler, Shutdown};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::DurationMs;
use serde_json::json;
use std::sync::Arc;

use crate::receiver::Receiver;
use crate::support::{branch, by, commit, name, on, send};
use crate::{client, courier, deliver, deliveries, hook, in_memory, service, states};

fn at(text: &str) -> Reference {
    text.parse().unwrap()
}

#[tokio::test]
async fn what_is_committed_is_told_signed_and_in_order() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, clock) = service(store).await;
        let receiver = Receiver::start().await;
        commit(&service, "images", &[("a", "0")], "before the hook").await;
        let hook = hook(&service, "images", NewHook::to(receiver.url())).await;
        let mut made = Vec::new();
        for number in 1..=3 {
            clock.advance(DurationMs(1_500));
            made.push(commit(&service, "images", &[("a", &number.to_string())], "more").await);
        }
        // The same again is no commit.
        commit(&service, "images", &[("a", "3")], "nothing").await;
        deliver(&service).await;
        deliver(&service).await;
        let seen = receiver.take();
        assert_eq!(seen.len(), 3);
        let secret = hook.secret.clone().unwrap();
        for (number, one) in seen.iter().enumerate() {
            assert!(one.is_signed_with(&secret));
            assert_eq!(one.timestamp_s, clock_s(&clock));
            assert_eq!(one.kind(), "dataset.commit");
            assert_eq!(*one.data("new_commit"), json!(made[number].commit));
            assert_eq!(*one.data("version"), json!(made[number].version));
            assert_eq!(*one.data("branch"), json!("main"));
            assert_eq!(
                (one.data("by"), one.data("message")),
                (&json!("ada"), &json!("more"))
            );
            assert_eq!(one.data("when"), &json!("after"));
        }
        assert_eq!(*seen[1].data("old_commit"), json!(made[0].commit));
        assert_eq!(seen[1].body["timestamp"], json!("1970-01-01T00:00:04.000Z"));
        let all = deliveries(&service, &hook).await;
        let ids: Vec<&String> = all.iter().map(|one| &one.id).collect();
        assert_eq!(ids, seen.iter().map(|one| &one.id).collect::<Vec<_>>());
        assert!(
            all.iter()
                .all(|one| (one.state, one.status) == (Delivered, Some(200)))
        );
    })
    .await;
}

fn clock_s(clock: &corliss_clock::ManualClock) -> i64 {
    use corliss_clock::Clock;
    clock.now().as_millis() / 1000
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_all_of_it_later_under_the_same_ids() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, clock) = service(store).await;
        let receiver = Receiver::start().await;
        commit(&service, "images", &[("a", "0")], "").await;
        let hook = hook(&service, "images", NewHook::to(receiver.url())).await;
        let place = receiver.stop().await;
        for text in ["1", "2", "3"] {
            commit(&service, "images", &[("a", text)], "").await;
        }
        deliver(&service).await;
        // The first holds the others up.
        assert_eq!(
            states(&service, &hook).await,
            [(Pending, 1), (Pending, 0), (Pending, 0)]
        );
        let first = deliveries(&service, &hook).await.remove(0);
        assert!(first.outcome.unwrap().contains("not reachable"));
        let receiver = Receiver::at(place).await;
        // It is not yet time.
        deliver(&service).await;
        assert_eq!(receiver.seen().len(), 0);
        receiver.says(&[(503, "starting\nup"), (429, "")]);
        for tries in 2..=3 {
            clock.advance(DurationMs::from_secs(60));
            deliver(&service).await;
            let now = deliveries(&service, &hook).await;
            assert_eq!((now[0].state, now[0].tries), (Pending, tries));
        }
        assert_eq!(
            deliveries(&service, &hook).await[0].outcome.as_deref(),
            Some("it answered 429")
        );
        clock.advance(DurationMs::from_secs(60));
        deliver(&service).await;
        assert_eq!(
            states(&service, &hook).await,
            [(Delivered, 4), (Delivered, 1), (Delivered, 1)]
        );
        let seen = receiver.seen();
        let ids: Vec<&str> = seen.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (5, ids[2], ids[2]));
        assert_eq!(seen[0].text, seen[2].text);
        // Each try has its own time, and is signed with it.
        assert_ne!(seen[0].signature, seen[2].signature);
        assert!(
            seen.iter()
                .all(|one| one.is_signed_with(hook.secret.as_ref().unwrap()))
        );
    })
    .await;
}

#[tokio::test]
async fn a_refusal_ends_one_event_and_410_ends_the_hook() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    let hook = hook(&service, "images", NewHook::to(receiver.url())).await;
    for text in ["1", "2", "3"] {
        commit(&service, "images", &[("a", text)], "").await;
    }
    receiver.says(&[(400, "no such\nfield"), (200, ""), (410, "")]);
    deliver(&service).await;
    let all = deliveries(&service, &hook).await;
    assert_eq!(all[0].outcome.as_deref(), Some("it answered 400: no such; field"));
    assert_eq!(
        states(&service, &hook).await,
        [(Failed, 1), (Delivered, 1), (Failed, 1)]
    );
    let now = service.hook(&name("images"), &hook.hook.id).await.unwrap();
    assert!(!now.enabled && now.disabled_reason.unwrap().contains("410"));
    // Nothing is kept for it now.
    commit(&service, "images", &[("a", "4")], "").await;
    assert_eq!(states(&service, &hook).await.len(), 3);
    let on_again = HookChange {
        enabled: Some(true),
        ..HookChange::default()
    };
    let changed = service
        .change_hook(&name("images"), &hook.hook.id, on_again)
        .await;
    assert_eq!(changed.unwrap().hook.disabled_reason, None);
    commit(&service, "images", &[("a", "5")], "").await;
    deliver(&service).await;
    assert_eq!(receiver.seen().len(), 4);
}

#[tokio::test]
async fn what_waits_for_a_hook_that_is_switched_off_goes_when_it_is_on_again() {
    let (service, _) = in_memory().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    commit(&service, "images", &[("a", "0")], "").await;
    let hook = hook(&service, "images", NewHook::to(old.url())).await;
    commit(&service, "images", &[("a", "1")], "").await;
    let change = |change: HookChange| service.change_hook(&hook.hook.dataset, &hook.hook.id, change);
    let off = HookChange {
        enabled: Some(false),
        ..HookChange::default()
    };
    change(off).await.unwrap();
    deliver(&service).await;
    let elsewhere = HookChange {
        enabled: Some(true),
        url: Some(new.url()),
        new_secret: true,
        ..HookChange::default()
    };
    let secret = change(elsewhere).await.unwrap().secret.unwrap();
    deliver(&service).await;
    assert_eq!((old.seen().len(), new.seen().len()), (0, 1));
    assert!(new.seen()[0].is_signed_with(&secret));
    assert!(!new.seen()[0].is_signed_with(hook.secret.as_ref().unwrap()));
}

#[tokio::test]
async fn an_event_is_given_up_after_three_days_and_forgotten_after_two_weeks() {
    let (service, clock) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    let hook = hook(&service, "images", NewHook::to(receiver.url())).await;
    let place = receiver.stop().await;
    commit(&service, "images", &[("a", "1")], "").await;
    for _ in 0..20 {
        deliver(&service).await;
        clock.advance(DurationMs::from_secs(8 * 60 * 60));
    }
    let all = deliveries(&service, &hook).await;
    assert_eq!(all[0].state, Failed);
    assert!(all[0].tries > 5 && all[0].tries <= 20, "{}", all[0].tries);
    let receiver = Receiver::at(place).await;
    clock.advance(DurationMs::from_secs(15 * 24 * 60 * 60));
    deliver(&service).await;
    assert_eq!(
        (receiver.seen().len(), deliveries(&service, &hook).await.len()),
        (0, 0)
    );
}

async fn open(folder: &std::path::Path) -> DataService {
    let root: Arc<dyn RootKey> = Arc::new(FileRootKey::open(&folder.join("key")).unwrap());
    let path = folder.join("corliss.db");
    let store = Metastore::open(&MetastoreConfig::Sqlite { path }, &[MIGRATIONS])
        .await
        .unwrap();
    // A store that was open lets go of its folder a moment after it is dropped.
    let blobs = loop {
        match BlobStore::open_folder(&folder.join("blobs"), Arc::clone(&root)).await {
            Err(corliss_blobstore::BlobError::InUse { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            blobs => break blobs.unwrap(),
        }
    };
    DataService::new(store, blobs, Sources::system(), Limits::default()).with_webhooks(client())
}

#[tokio::test]
async fn a_server_that_dies_after_a_commit_tells_of_it_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let first = open(folder.path()).await;
    commit(&first, "images", &[("a", "0")], "").await;
    let hook = hook(&first, "images", NewHook::to(receiver.url())).await;
    let made = commit(&first, "images", &[("a", "1")], "the last").await;
    drop(first);
    let second = open(folder.path()).await;
    deliver(&second).await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(*seen[0].data("new_commit"), json!(made.commit));
    // The secret was kept, though not in the clear.
    assert!(seen[0].is_signed_with(hook.secret.as_ref().unwrap()));
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    let first = commit(&service, "images", &[("a", "0")], "").await;
    commit(&service, "images", &[("a", "1")], "").await;
    let hook = hook(&service, "images", NewHook::to(receiver.url())).await;
    let version = send(&service, &[("a", "2")]).await;
    let late = Target {
        expected: first.commit,
        ..on("images")
    };
    let refused = service.commit(&late, &version, by("")).await;
    assert!(matches!(refused, Err(DataError::BranchMoved { .. })));
    service
        .protect_branch(&name("images"), &branch("main"), true)
        .await
        .unwrap();
    let refused = service.commit(&on("images"), &version, by("")).await;
    assert!(matches!(refused, Err(DataError::BranchProtected { .. })));
    deliver(&service).await;
    assert_eq!(
        (receiver.seen().len(), deliveries(&service, &hook).await.len()),
        (0, 0)
    );
}

#[tokio::test]
async fn two_workers_on_one_database_send_nothing_twice() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        let receivers = [
            Receiver::start().await,
            Receiver::start().await,
            Receiver::start().await,
        ];
        commit(&service, "images", &[("a", "0")], "").await;
        for receiver in &receivers {
            hook(&service, "images", NewHook::to(receiver.url())).await;
        }
        for number in 1..=8 {
            commit(&service, "images", &[("a", &number.to_string())], "").await;
        }
        let (one, other) = (courier(&service), courier(&service));
        let (first, second) = tokio::join!(one.reconcile(), other.reconcile());
        first.and(second).unwrap();
        deliver(&service).await;
        for receiver in &receivers {
            let ids: Vec<String> = receiver.seen().into_iter().map(|one| one.id).collect();
            let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
            assert_eq!((ids.len(), distinct.len()), (8, 8));
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_worker_left_behind_is_sent_when_its_lease_is_over() {
    let (service, clock) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    let hook = hook(&service, "images", NewHook::to(receiver.url())).await;
    commit(&service, "images", &[("a", "1")], "").await;
    receiver.falls_silent();
    let dying = courier(&service);
    let dying = tokio::spawn(async move { dying.reconcile().await.map(|_| ()) });
    receiver.has_seen(1).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    receiver.speaks_again();
    deliver(&service).await;
    assert_eq!(
        (receiver.seen().len(), states(&service, &hook).await),
        (1, vec![(Pending, 0)])
    );
    clock.advance(DurationMs::from_secs(26));
    deliver(&service).await;
    let seen = receiver.seen();
    assert_eq!((seen.len(), &seen[0].id), (2, &seen[1].id));
    assert_eq!(states(&service, &hook).await, [(Delivered, 1)]);
}

#[tokio::test]
async fn a_slow_receiver_holds_nobody_else_up() {
    let (service, _) = in_memory().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    commit(&service, "images", &[("a", "0")], "").await;
    let held = hook(&service, "images", NewHook::to(slow.url())).await;
    let told = hook(&service, "images", NewHook::to(quick.url())).await;
    slow.falls_silent();
    commit(&service, "images", &[("a", "1")], "").await;
    let shutdown = Shutdown::new();
    let working = corliss_data::HookCourier::new(&service, &shutdown);
    let working = tokio::spawn(async move { working.reconcile().await.map(|_| ()) });
    slow.has_seen(1).await;
    quick.has_seen(1).await;
    // What comes while it waits is told as well.
    commit(&service, "images", &[("a", "2")], "").await;
    quick.has_seen(2).await;
    assert_eq!(states(&service, &held).await, [(Pending, 0), (Pending, 0)]);
    slow.speaks_again();
    slow.has_seen(2).await;
    shutdown.trigger();
    working.await.unwrap().unwrap();
    assert_eq!(states(&service, &told).await, [(Delivered, 1), (Delivered, 1)]);
}

#[tokio::test]
async fn each_hook_is_told_of_its_events_and_branches() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    let images = name("images");
    commit(&service, "images", &[("a", "0")], "").await;
    let everything = NewHook {
        events: HookEvent::ALL.to_vec(),
        ..NewHook::to(receiver.url())
    };
    let everything = hook(&service, "images", everything).await;
    let releases = NewHook {
        branches: vec!["release/*".parse().unwrap()],
        ..NewHook::to(receiver.url())
    };
    let releases = hook(&service, "images", releases).await;
    let (kind, release) = (RefKind::Branch, branch("release/1"));
    service
        .create_ref(&images, kind, &release, &at("images"), "ada")
        .await
        .unwrap();
    let onto = |branch| Target {
        branch: Some(branch),
        ..on("images")
    };
    let version = send(&service, &[("a", "0"), ("b", "1")]).await;
    service
        .commit(&onto(release.clone()), &version, by(""))
        .await
        .unwrap();
    let forward = service
        .merge(
            &on("images"),
            &at("images@release/1"),
            ConflictPolicy::Fail,
            false,
            by("m"),
        )
        .await
        .unwrap();
    assert!(forward.fast_forward);
    let version = send(&service, &[("a", "2"), ("b", "1")]).await;
    service
        .commit(&onto(release.clone()), &version, by(""))
        .await
        .unwrap();
    let merged = service
        .merge(
            &on("images"),
            &at("images@release/1"),
            ConflictPolicy::Fail,
            true,
            by("m"),
        )
        .await
        .unwrap();
    service
        .revert(&on("images"), &at("images~1"), ConflictPolicy::Ours, by("r"))
        .await
        .unwrap();
    service
        .move_branch(&images, &release, &at("images"), None, "ada")
        .await
        .unwrap();
    let tag = branch("v1");
    service
        .create_ref(&images, RefKind::Tag, &tag, &at("images"), "ada")
        .await
        .unwrap();
    service
        .delete_ref(&images, RefKind::Tag, &tag, None, "ada")
        .await
        .unwrap();
    service
        .delete_ref(&images, kind, &release, None, "ada")
        .await
        .unwrap();
    let told = |all: Vec<corliss_data::HookDelivery>| -> Vec<&'static str> {
        all.into_iter().map(|one| one.event.as_str()).collect()
    };
    assert_eq!(
        told(deliveries(&service, &everything).await),
        [
            "branch.created",
            "commit",
            "merge",
            "commit",
            "merge",
            "commit",
            "branch.moved",
            "tag.created",
            "tag.deleted",
            "branch.deleted"
        ]
    );
    assert_eq!(told(deliveries(&service, &releases).await), ["commit", "commit"]);
    deliver(&service).await;
    let mut merges = receiver.take();
    merges.retain(|one| one.kind() == "dataset.merge");
    let [first, second] = &merges[..] else {
        panic!("{merges:?}");
    };
    assert_eq!(*first.data("source"), json!(forward.committed.commit));
    assert_eq!(*second.data("new_commit"), json!(merged.committed.commit));
    assert_ne!(second.data("source"), second.data("new_commit"));
}

#[tokio::test]
async fn a_queue_that_is_full_drops_and_counts() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let (service, _) = service(store.clone()).await;
    commit(&service, "images", &[("a", "0")], "").await;
    let hook = hook(&service, "images", NewHook::to("http://127.0.0.1:9/")).await;
    let id = hook.hook.id.clone();
    let filled = store.write(move |tx| {
        for number in 0..9_999_i64 {
            tx.execute(
                "INSERT INTO data_hook_delivery (hook, sequence, event, body, created_ms, state, tries, next_ms)
                 VALUES ($1, $2, 'commit', '{}', 0, 'pending', 0, 0)",
                params![&id, 1_000_000 + number],
            )?;
        }
        Ok::<_, StoreError>(())
    });
    filled.await.unwrap();
    for text in ["1", "2", "3"] {
        commit(&service, "images", &[("a", text)], "").await;
    }
    let now = service.hook(&name("images"), &hook.hook.id).await.unwrap();
    assert_eq!((now.pending, now.dropped), (10_000, 2));
}

#[tokio::test]
async fn a_dataset_goes_with_its_hooks() {
    let (service, _) = in_memory().await;
    let receiver = Receiver::start().await;
    commit(&service, "images", &[("a", "0")], "").await;
    let first = hook(&service, "images", NewHook::to(receiver.url())).await;
    commit(&service, "images", &[("a", "1")], "").await;
    service.delete_dataset(&name("images")).await.unwrap();
    commit(&service, "images", &[("a", "2")], "").await;
    deliver(&service).await;
    assert_eq!(receiver.seen().len(), 0);
    assert_eq!(service.hooks(&name("images")).await.unwrap(), []);
    let gone = service.hook(&name("images"), &first.hook.id).await;
    assert!(matches!(gone, Err(DataError::HookNotFound { .. })));
}

//! Endpoints over stand-ins of the other rooms: jobs are tasks of this process that speak the engine's
//! protocol on their sockets, models are folders with a file of the right kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper of a test may fail it.

mod world;

use std::sync::atomic::Ordering;

use corliss_metastore::Metastore;
use corliss_policy_serving::Routing;
use corliss_serving::{DeployRequest, EndpointPhase, EndpointView, MIGRATIONS, ReplicaPhase};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::Resources;

use serde_json::json;
use world::World;

fn request(model: &str, replicas: u32) -> DeployRequest {
    DeployRequest {
        model: model.to_owned(),
        replicas: Some(replicas),
        resources: Some(Resources::default()),
        allow_pickle: false,
        batching: Default::default(),
        release: None,
    }
}

fn is_ready(endpoint: &EndpointView, version: u32) -> bool {
    endpoint.state == EndpointPhase::Ready && endpoint.serving_version == Some(version)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_comes_up_rolls_and_goes() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        world
            .serving
            .deploy("digits", request("digits@champion", 2), "ana")
            .await
            .unwrap();
        let endpoint = world.until("digits", |endpoint| is_ready(endpoint, 1)).await;
        assert_eq!(endpoint.replicas_ready, 2);
        let mut table = world.serving.route_table();
        assert_eq!(table.borrow_and_update().endpoints[0].replicas.len(), 2);

        world.models.champion.store(2, Ordering::SeqCst);
        world.serving.wake().signal();
        let endpoint = world
            .until("digits", |endpoint| {
                is_ready(endpoint, 2) && endpoint.replicas_ready == 2
            })
            .await;
        assert_eq!(endpoint.desired_version, 2);
        assert!(
            world.jobs.fewest_ready.load(Ordering::SeqCst) >= 2,
            "fewer replicas than wanted while rolling"
        );

        // Deployed again on its way out, it stays, and nothing of what was said of the one before.
        let mut dear = Routing::default();
        dear.price.answer_micros = 3_000_000;
        world.serving.set_routing("digits", dear).await.unwrap();
        world.serving.remove("digits").await.unwrap();
        world
            .serving
            .deploy("digits", request("digits@champion", 1), "ana")
            .await
            .unwrap();
        world
            .until("digits", |endpoint| {
                is_ready(endpoint, 2) && endpoint.replicas_ready == 1
            })
            .await;
        let endpoint = world.serving.get("digits").await.unwrap();
        assert_eq!(endpoint.routing, Routing::default());

        world.serving.remove("digits").await.unwrap();
        world.until_gone("digits").await;
        assert_eq!(world.jobs.running(), 0);
        world.stop().await;
    })
    .await;
}

/// A world in which one replica serves `digits`.
async fn serving_one(store: Metastore) -> World {
    let world = World::start(store);
    let wanted = request("digits/1", 1);
    world.serving.deploy("digits", wanted, "ana").await.unwrap();
    world.until("digits", |endpoint| is_ready(endpoint, 1)).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_dies_is_replaced() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving_one(store).await;
        let killed = world.jobs.kill_one();
        let endpoint = world
            .until("digits", |endpoint| {
                let is_up = endpoint.replicas_ready > 0;
                assert!(is_up || endpoint.state != EndpointPhase::Ready, "{endpoint:?}");
                is_ready(endpoint, 1)
                    && endpoint
                        .replicas
                        .iter()
                        .any(|replica| replica.state == ReplicaPhase::Failed)
            })
            .await;
        let failed = endpoint
            .replicas
            .iter()
            .find(|replica| replica.state == ReplicaPhase::Failed)
            .unwrap();
        assert_eq!(
            (&failed.id, failed.reason.as_deref()),
            (&killed, Some("killed by signal 9"))
        );
        assert_eq!(
            endpoint
                .replicas
                .iter()
                .find(|replica| replica.state == ReplicaPhase::Ready)
                .unwrap()
                .restarts,
            1
        );
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_went_down_with_the_server_has_not_failed() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving_one(store).await;
        let gone = world.jobs.interrupt_one();
        let endpoint = world
            .until("digits", |endpoint| {
                let replaced = endpoint
                    .replicas
                    .iter()
                    .any(|replica| replica.state == ReplicaPhase::Ready && replica.id != gone);
                is_ready(endpoint, 1) && replaced
            })
            .await;
        for replica in &endpoint.replicas {
            assert_eq!(replica.restarts, 0, "nothing is counted against the version");
            assert_ne!(replica.state, ReplicaPhase::Failed);
        }
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_keeps_its_replicas() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        world
            .serving
            .deploy("digits", request("digits/1", 2), "ana")
            .await
            .unwrap();
        world
            .until("digits", |endpoint| {
                is_ready(endpoint, 1) && endpoint.replicas_ready == 2
            })
            .await;
        let before = world.jobs.started();
        let world = world.restart().await;
        let mut table = world.serving.route_table();
        table
            .wait_for(|table| {
                table
                    .endpoints
                    .iter()
                    .any(|endpoint| endpoint.replicas.len() == 2)
            })
            .await
            .unwrap();
        assert_eq!(world.jobs.started(), before, "a replica was started again");
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pickle_is_served_where_somebody_allowed_it_and_the_log_says_who() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        let refused = world
            .serving
            .deploy("net", request("unsafe@champion", 1), "ana")
            .await;
        assert_eq!(refused.unwrap_err().to_string(), "it holds a pickle");
        let allowed = DeployRequest {
            allow_pickle: true,
            batching: Default::default(),
            ..request("unsafe@champion", 1)
        };
        let deploy = |request| world.serving.deploy("net", request, "root");
        deploy(allowed.clone()).await.unwrap();
        let endpoint = world.until("net", |endpoint| is_ready(endpoint, 1)).await;
        assert_eq!(
            (endpoint.allow_pickle, endpoint.deployed_by.as_deref()),
            (true, Some("root"))
        );
        // Another number of replicas is no deployment of a version.
        deploy(DeployRequest {
            replicas: Some(2),
            ..allowed.clone()
        })
        .await
        .unwrap();
        world.until("net", |endpoint| endpoint.replicas_ready == 2).await;
        // What is not said stays.
        let endpoint = deploy(DeployRequest {
            replicas: None,
            resources: None,
            ..allowed
        })
        .await
        .unwrap();
        assert_eq!(endpoint.replicas_desired, 2);
        world.models.champion.store(2, Ordering::SeqCst);
        world.serving.wake().signal();
        world.until("net", |endpoint| is_ready(endpoint, 2)).await;
        let orders = world.orders.0.lock().unwrap().clone();
        let told: Vec<_> = orders
            .iter()
            .map(|order| (order.version, order.by.as_deref(), order.allow_pickle))
            .collect();
        assert_eq!(told, [(1, Some("root"), true), (2, None, true)]);
        assert_ne!(orders[0].key, orders[1].key);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_on_what_may_not_be_served_is_not_followed() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        let wanted = request("approved@champion", 1);
        world.serving.deploy("net", wanted, "ana").await.unwrap();
        world.until("net", |endpoint| is_ready(endpoint, 1)).await;
        // The stand-in clears version 1 of this model only.
        world.models.champion.store(3, Ordering::SeqCst);
        world.serving.wake().signal();
        let endpoint = world.until("net", |endpoint| endpoint.reason.is_some()).await;
        let reason = endpoint.reason.unwrap();
        assert_eq!(reason, "approved/3 cannot be served: it lacks approval");
        // It stays told while the old one serves.
        for _ in 0..20 {
            let endpoint = world.serving.get("net").await.unwrap();
            assert_eq!(
                (endpoint.reason.as_deref(), endpoint.serving_version),
                (Some(reason.as_str()), Some(1))
            );
            world.serving.wake().signal();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        world.stop().await;
    })
    .await;
}

fn with_memory(model: &str, memory_bytes: u64) -> DeployRequest {
    DeployRequest {
        resources: Some(Resources {
            memory_bytes,
            ..Resources::default()
        }),
        ..request(model, 1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_get_the_resources_that_are_said_later() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        let ready = |endpoint: &EndpointView| endpoint.state == EndpointPhase::Ready;
        let serving = |endpoint: &EndpointView| {
            let mut replicas = endpoint.replicas.iter();
            let ready = replicas.find(|replica| replica.state == ReplicaPhase::Ready);
            ready.map(|replica| replica.id.clone())
        };
        let deploy = |request| world.serving.deploy("digits", request, "ana");
        deploy(request("digits/1", 1)).await.unwrap();
        let before = serving(&world.until("digits", ready).await);
        deploy(with_memory("digits/1", 1 << 20)).await.unwrap();
        let replaced = |endpoint: &EndpointView| {
            let now = serving(endpoint);
            endpoint.replicas_ready == 1 && now.is_some() && now != before
        };
        let after = serving(&world.until("digits", replaced).await);
        // The same said again changes nothing.
        deploy(with_memory("digits/1", 1 << 20)).await.unwrap();
        assert_eq!(serving(&world.until("digits", ready).await), after);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_says_what_its_replica_waits_for() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let world = World::start(store);
    let why = "it is first in the queue and needs 8 CPUs, of which 2 are free";
    world.jobs.hold(Some(why));
    world
        .serving
        .deploy("digits", request("digits/1", 1), "ana")
        .await
        .unwrap();
    let told = format!("1 replica waits: {why}");
    world
        .until("digits", |endpoint| {
            endpoint.reason.as_ref().is_some_and(|reason| *reason == told)
        })
        .await;
    world.jobs.hold(None);
    world.until("digits", |endpoint| is_ready(endpoint, 1)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_refused_at_once() {
    let store = corliss_metastore::Metastore::in_memory(&[MIGRATIONS])
        .await
        .unwrap();
    let world = World::start(store);
    let refused = [
        ("digits", request("nothing@here", 1), "no model 'nothing'"),
        ("../etc", request("digits/1", 1), "is not a name"),
        ("digits", request("digits/1", 0), "replicas is 0"),
        ("digits", request("pickled/1", 1), "pickle"),
        (
            "digits",
            with_memory("digits/1", 2 << 30),
            "resources.memory_bytes is 2147483648, and this machine has 1073741824 to give",
        ),
        (
            "digits",
            with_memory("digits/1", 4),
            "and a replica of it may have 4 bytes of memory",
        ),
        (
            "words",
            DeployRequest {
                batching: serde_json::from_value(json!({ "instances": 2 })).unwrap(),
                ..request("words/1", 1)
            },
            "batching.instances does nothing for a language model",
        ),
    ];
    for (name, request, expected) in refused {
        let error = world
            .serving
            .deploy(name, request, "ana")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = world.serving.remove("digts").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no endpoint 'digts'");
    assert!(world.serving.list().await.unwrap().is_empty());
    world.stop().await;
}

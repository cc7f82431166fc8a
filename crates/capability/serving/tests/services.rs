//! Services elsewhere behind endpoints: kept, changed, routed and removed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper of a test may fail it.
#![allow(dead_code)] // Of the stand-ins, the other file uses more.

mod world;

use corliss_policy_serving::Routing;
use corliss_serving::{
    ConnectRequest, DeployRequest, EndpointPhase, EndpointView, MIGRATIONS, RouteService, ServingError,
};
use corliss_testkit::metastore::for_each_backend;
use serde_json::{Value, json};

use world::World;

fn asks(change: Value) -> ConnectRequest {
    let mut body = json!({ "model": "llama", "targets": [{ "url": "http://gpu1:8000/v1" }] });
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

async fn connected(world: &World, change: Value) -> EndpointView {
    world.serving.connect("far", asks(change), "root").await.unwrap()
}

/// What is routed, once it holds.
async fn routed(world: &World, holds: impl Fn(&[RouteService]) -> bool) -> Vec<RouteService> {
    let mut table = world.serving.route_table();
    let table = table.wait_for(|table| holds(&table.services)).await.unwrap();
    table.services.clone()
}

fn key(service: &RouteService) -> Option<String> {
    let key = service.key.as_ref()?;
    Some(String::from_utf8(key.0.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_kept_changed_and_removed() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        let two = json!([{ "url": "http://gpu1:8000/v1/" }, { "url": "http://gpu2:8000/v1", "weight": 3 }]);
        let first = connected(&world, json!({ "targets": two, "api_key": "sk-1" })).await;
        let service = first.service.unwrap();
        assert_eq!(
            (first.replicas_ready, service.has_key, first.model_name),
            (2, true, None)
        );
        assert_eq!(service.targets[0].url, "http://gpu1:8000/v1");
        let routes = routed(&world, |services| services.len() == 1).await;
        assert_eq!(
            (key(&routes[0]).as_deref(), routes[0].targets[1].weight),
            (Some("sk-1"), 3)
        );
        assert!(!format!("{routes:?}").contains("sk-1"));

        let routing: Routing = serde_json::from_value(json!({ "router": "least_tokens" })).unwrap();
        world.serving.set_routing("far", routing).await.unwrap();
        // Without a key the one that is there stays, and so does what is known of an address that stays.
        let swapped = json!([{ "url": "http://gpu3:8000/v1" }, { "url": "http://gpu1:8000/v1" }]);
        let second = connected(&world, json!({ "targets": swapped, "model": "other" })).await;
        let changed = second.service.unwrap();
        assert_eq!(changed.targets[1].id, service.targets[0].id);
        assert_ne!(changed.targets[0].id, service.targets[1].id);
        assert_eq!(
            serde_json::to_value(&second.routing).unwrap()["router"],
            "least_tokens"
        );
        let routes = routed(&world, |services| services[0].model == "other").await;
        assert_eq!(key(&routes[0]).as_deref(), Some("sk-1"));

        // It is there after a restart too.
        let world = world.restart().await;
        let routes = routed(&world, |services| services.len() == 1).await;
        assert_eq!(key(&routes[0]).as_deref(), Some("sk-1"));
        let bare = connected(&world, json!({ "api_key": null })).await;
        assert!(!bare.service.unwrap().has_key);
        routed(&world, |services| services[0].key.is_none()).await;
        world.serving.remove("far").await.unwrap();
        routed(&world, <[_]>::is_empty).await;
        assert!(matches!(
            world.serving.get("far").await,
            Err(ServingError::NotFound { .. })
        ));
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_a_models_or_a_services() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        let deploy = |name: &'static str| {
            let request = DeployRequest {
                model: "digits@champion".to_owned(),
                replicas: None,
                resources: None,
                allow_pickle: false,
                release: None,
                batching: Default::default(),
            };
            world.serving.deploy(name, request, "ana")
        };
        connected(&world, json!({})).await;
        assert!(matches!(deploy("far").await, Err(ServingError::NameTaken { .. })));
        deploy("near").await.unwrap();
        let taken = world.serving.connect("near", asks(json!({})), "root").await;
        assert!(matches!(taken, Err(ServingError::NameTaken { .. })));
        let names: Vec<String> = world
            .serving
            .list()
            .await
            .unwrap()
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names, ["far", "near"]);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_addresses_fail_says_so() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        let two = json!([{ "url": "http://gpu1:8000/v1" }, { "url": "http://gpu2:8000/v1" }]);
        let service = connected(&world, json!({ "targets": two })).await;
        let ids = service
            .service
            .unwrap()
            .targets
            .into_iter()
            .map(|target| target.id);
        for (id, state) in ids.zip([EndpointPhase::Degraded, EndpointPhase::Failed]) {
            let trouble = (id, "cannot reach it".to_owned());
            world.traffic.1.lock().unwrap().push(trouble);
            let endpoint = world.serving.get("far").await.unwrap();
            assert_eq!(endpoint.state, state);
        }
        let endpoint = world.serving.get("far").await.unwrap();
        assert_eq!(endpoint.replicas_ready, 0);
        assert_eq!(
            endpoint.reason.unwrap(),
            "the last request to http://gpu1:8000/v1 failed: cannot reach it; \
             the last request to http://gpu2:8000/v1 failed: cannot reach it"
        );
        world.traffic.1.lock().unwrap().clear();
        assert_eq!(
            world.serving.get("far").await.unwrap().state,
            EndpointPhase::Ready
        );
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_names_endpoints_that_are_there_and_notes_what_goes() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        connected(&world, json!({ "dialect": "open_inference" })).await;
        let request = serde_json::from_value(json!({ "model": "digits@champion" })).unwrap();
        world.serving.deploy("near", request, "ana").await.unwrap();
        let set = |routing: Value| {
            let routing: Routing = serde_json::from_value(routing).unwrap();
            world.serving.set_routing("near", routing)
        };
        let refused = set(json!({ "fallback": ["farr"] }))
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            "fallback[0] names the endpoint 'farr', which is not there: did you mean 'far'?"
        );
        let refused = set(json!({ "rules": [{ "to": { "pool": "another" } }] })).await;
        assert!(refused.unwrap_err().to_string().contains("rules[0].to.pool"));
        let kept = world.serving.get("near").await.unwrap();
        assert!(kept.routing.fallback.is_empty() && kept.routing_notes.is_empty());

        // A version may come later; that it is not there is said.
        let routing = json!({ "router": "weighted", "fallback": ["far"], "weights": { "1": 2, "9": 1 } });
        let endpoint = set(routing).await.unwrap();
        assert_eq!(
            endpoint.routing_notes,
            ["weights.9 names version 9, which no replica serves: its weight does nothing"]
        );
        world.serving.remove("far").await.unwrap();
        let notes = world.serving.get("near").await.unwrap().routing_notes;
        assert_eq!(
            notes[1],
            "fallback[0] names the endpoint 'far', which is not there: it is passed over"
        );
        // What has gone since does not keep anybody from changing something else.
        let routing = json!({ "fallback": ["far"], "retry": { "attempts": 3 } });
        assert_eq!(set(routing).await.unwrap().routing.retry.attempts, 3);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_that_can_do_nothing_is_refused_or_noted() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store);
        connected(&world, json!({})).await;
        let request = serde_json::from_value(json!({ "model": "digits@champion" })).unwrap();
        world.serving.deploy("near", request, "ana").await.unwrap();
        let set = |name: &'static str, routing: Value| {
            let routing: Routing = serde_json::from_value(routing).unwrap();
            world.serving.set_routing(name, routing)
        };
        let refused = set("near", json!({ "fallback": ["far"] })).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "fallback[0] names the endpoint 'far', which answers texts, as a language model, and 'near' answers \
             tensors: name one that answers the same"
        );
        let refused = set("far", json!({ "rules": [{ "to": { "pool": "near" } }] })).await;
        assert!(refused.unwrap_err().to_string().starts_with("rules[0].to.pool names the endpoint 'near'"));

        // The router may be chosen later, so that is said and not refused.
        let endpoint = set("near", json!({ "weights": { "1": 2 } })).await.unwrap();
        assert_eq!(endpoint.routing_notes, ["weights do nothing unless the router is weighted"]);
        let endpoint = set("far", json!({ "router": "weighted", "weights": { "1": 2 } })).await.unwrap();
        assert!(endpoint.routing_notes[0].contains("of which a service has none"));

        // What was of one kind when it was named may be connected anew as another.
        connected(&world, json!({ "dialect": "open_inference" })).await;
        set("near", json!({ "fallback": ["far"] })).await.unwrap();
        connected(&world, json!({})).await;
        assert_eq!(
            world.serving.get("near").await.unwrap().routing_notes,
            ["fallback[0] names the endpoint 'far', which answers texts, as a language model: it is passed over"]
        );
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_endpoint_does_not_open() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::start(store.clone());
        connected(&world, json!({ "api_key": "sk-1" })).await;
        store
            .write::<_, ServingError, _>(|tx| {
                tx.execute("UPDATE serving_services SET name = 'mine'", &[])?;
                Ok(())
            })
            .await
            .unwrap();
        world.serving.wake().signal();
        let routes = routed(&world, |services| {
            services.first().is_some_and(|one| one.name == "mine")
        })
        .await;
        assert!(routes[0].targets.is_empty() && key(&routes[0]).is_none());
        assert!(routes[0].reason.as_ref().unwrap().contains("cannot be opened"));
        world.stop().await;
    })
    .await;
}

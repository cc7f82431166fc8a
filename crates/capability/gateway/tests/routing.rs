//! Which replica answers: evenness, second attempts, limits, and tables that change.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corliss_gateway::{GatewayConfig, RouteTable};
use corliss_types::Flavor;
use serde_json::json;
use support::{House, Peer, Script, chat, eventually};

const CHAT: &str = "/v1/chat/completions";
const INFER: &str = "/v2/models/m/infer";

/// So many streams that have begun.
async fn streams(house: &House, count: usize) -> Vec<reqwest::Response> {
    let mut open = Vec::new();
    for _ in 0..count {
        let request = house.post(CHAT, &chat(json!({"stream": true})));
        let mut stream = request.send().await.unwrap();
        stream.chunk().await.unwrap().unwrap();
        open.push(stream);
    }
    open
}

#[tokio::test]
async fn one_request_after_another_is_spread_evenly() {
    let peers = [1, 2, 3].map(|n| Peer::new(n, Script::Say(vec![])));
    let house = House::with(Flavor::Onnx, &peers).await;
    for _ in 0..30 {
        assert_eq!(house.ask(INFER, &json!({"inputs": []})).await.0, 200);
    }
    assert_eq!(peers.each_ref().map(Peer::requests), [10, 10, 10]);
}

#[tokio::test]
async fn the_busy_replica_is_spared() {
    let peers = [1, 2].map(|n| Peer::new(n, Script::SayAndHang(vec!["x"])));
    let house = House::with(Flavor::Gguf, &peers).await;
    let _open = streams(&house, 6).await;
    assert_eq!(peers.each_ref().map(Peer::requests), [3, 3]);
    assert!(
        house.gateway.stats()[0]
            .in_flight
            .iter()
            .all(|(_, count)| *count == 3)
    );
}

#[tokio::test]
async fn a_replica_that_is_gone_costs_no_request() {
    let mut peers = [1, 2].map(|n| Peer::new(n, Script::Say(vec!["ok"])));
    let house = House::with(Flavor::Gguf, &peers).await;
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    peers[0].stop();
    for _ in 0..10 {
        let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
    }
    let stats = &house.gateway.stats()[0];
    assert_eq!((stats.requests_total, stats.failed_total), (12, 0));
    // It is set aside, so that not every other request has to find out again.
    assert!((1..=5).contains(&stats.retries_total), "{}", stats.retries_total);
    peers[1].stop();
    let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(
        (status, answer["error"]["type"].as_str()),
        (503, Some("server_error"))
    );
}

#[tokio::test]
async fn a_replica_that_takes_no_requests_is_passed_over_but_a_wrong_request_is_not_tried_twice() {
    let peers = [
        Peer::new(1, Script::Refuse(503, "engine_not_ready")),
        Peer::new(2, Script::Say(vec!["ok"])),
    ];
    let house = House::with(Flavor::Gguf, &peers).await;
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    for peer in &peers {
        peer.says(Script::Refuse(400, "invalid_request"));
    }
    let before: usize = peers.iter().map(Peer::requests).sum();
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 400);
    assert_eq!(peers.iter().map(Peer::requests).sum::<usize>(), before + 1);
    for peer in &peers {
        peer.says(Script::Refuse(429, "engine_queue_full"));
    }
    let response = house.post(CHAT, &chat(json!({}))).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(peers.iter().map(Peer::requests).sum::<usize>(), before + 3);
}

#[tokio::test]
async fn a_replica_that_said_it_is_full_is_not_asked_until_something_of_it_has_ended() {
    let peers = [Peer::new(1, Script::SayAndHang(vec!["x"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let mut open = streams(&house, 2).await;
    peers[0].says(Script::Overloaded(17));
    let began = std::time::Instant::now();
    for _ in 0..20 {
        let response = house.post(CHAT, &chat(json!({}))).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &"17".parse().unwrap())
        );
    }
    // One more is tried now and then.
    let tries = 1 + began.elapsed().as_millis() / 250;
    assert!((1..=tries).contains(&(peers[0].requests() as u128 - 2)));
    open.pop();
    eventually("room is made", || {
        peers[0].state.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    peers[0].says(Script::Say(vec!["y"]));
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
}

#[tokio::test]
async fn too_many_at_once_are_refused_and_not_queued() {
    let peers = [Peer::new(1, Script::SayAndHang(vec!["x"]))];
    let house = House::new(GatewayConfig {
        concurrent_max: 2,
        ..GatewayConfig::default()
    })
    .await;
    house.route(Flavor::Gguf, &peers);
    let mut open = streams(&house, 2).await;
    let response = house.post(CHAT, &chat(json!({}))).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    open.clear();
    eventually("room is made", || {
        peers[0].state.cancelled.load(Ordering::SeqCst) == 2
    })
    .await;
    peers[0].says(Script::Say(vec!["y"]));
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    assert_eq!(house.gateway.stats()[0].refused_total, 1);
}

#[tokio::test]
async fn silence_has_a_limit() {
    let peers = [Peer::new(1, Script::SayAndHang(vec![]))];
    let config = GatewayConfig {
        silence_timeout: Duration::from_millis(100),
        ..GatewayConfig::default()
    };
    let house = House::new(config).await;
    house.route(Flavor::Gguf, &peers);
    let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (504, Some("inference_timed_out"))
    );
    eventually("the engine is told", || {
        peers[0].state.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    peers[0].says(Script::SayAndHang(vec!["x"]));
    let events = house.events(CHAT, &chat(json!({"stream": true}))).await;
    assert!(
        events.last().unwrap().contains("inference_timed_out"),
        "{events:?}"
    );
}

#[tokio::test]
async fn before_the_first_table_nobody_is_told_that_an_endpoint_is_not_there() {
    let house = House::new(GatewayConfig::default()).await;
    let response = house.post(CHAT, &chat(json!({}))).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    house.route_each(vec![]);
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 404);
}

#[tokio::test]
async fn an_endpoint_without_replicas_says_why_and_recovers() {
    let house = House::with(Flavor::Gguf, &[]).await;
    let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(status, 503);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("its replica is starting"),
        "{answer}"
    );
    let peers = [Peer::new(1, Script::Say(vec!["ok"]))];
    house.route(Flavor::Gguf, &peers);
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    // An older table that arrives late changes nothing; a newer one without the endpoint removes it.
    house.tables.send_replace(Arc::new(RouteTable {
        generation: 1,
        endpoints: vec![],
    }));
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    house.tables.send_replace(Arc::new(RouteTable {
        generation: 9,
        endpoints: vec![],
    }));
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 404);
}

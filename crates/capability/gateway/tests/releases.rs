//! Traffic while a version is released: who gets it, who stays with it, who only gets copies, and what is counted.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use corliss_gateway::{GatewayConfig, Outcome, RouteRelease, VersionTraffic};
use corliss_policy_serving::Routing;
use corliss_policy_serving::release::Split;
use corliss_types::{Flavor, IdSeed, ReleaseId, Timestamp};
use serde_json::{Value, json};
use support::{House, Peer, Script, chat, endpoint, eventually};

const INFER: &str = "/v2/models/m/infer";
const CHAT: &str = "/v1/chat/completions";

/// Two replicas of version 3, one of version 4.
fn peers() -> [Peer; 3] {
    [1, 2, 3].map(|n| Peer::new(n, Script::Say(vec!["ok"])))
}

fn split(percent: u32) -> Split {
    Split {
        percent,
        ..Split::default()
    }
}

/// Says that version 4 of the endpoint `m` is released, and gets this.
fn release(house: &House, flavor: Flavor, peers: &[Peer], split: Split, routing: Routing) {
    let mut route = endpoint("m", flavor, peers, routing);
    let id = ReleaseId::new(IdSeed {
        at: Timestamp::from_millis(7),
        random: [7; 10],
    });
    route.release = Some(Arc::new(RouteRelease {
        id,
        version: 4,
        split,
    }));
    house.route_each(vec![route]);
}

async fn infer_as(house: &House, path: &str, session: Option<&str>) -> u16 {
    let mut request = house.post(path, &json!({"inputs": []}));
    if let Some(session) = session {
        request = request.header("x-session-id", session);
    }
    request.send().await.unwrap().status().as_u16()
}

fn done(house: &House, version: u32) -> VersionTraffic {
    house.gateway.version_traffic("m", version)
}

#[tokio::test]
async fn a_share_goes_to_the_new_version_and_each_is_counted() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    release(&house, Flavor::Onnx, &peers, split(0), Routing::default());
    for _ in 0..20 {
        assert_eq!(infer_as(&house, INFER, None).await, 200);
    }
    assert_eq!(peers[2].requests(), 0, "ready, and given nothing yet");
    release(&house, Flavor::Onnx, &peers, split(30), Routing::default());
    for _ in 0..400 {
        assert_eq!(infer_as(&house, INFER, None).await, 200);
    }
    let new = peers[2].requests();
    assert!((70..170).contains(&new), "{new}");
    assert_eq!(done(&house, 4).counts.requests, new as u64);
    assert_eq!(done(&house, 3).counts.requests, 420 - new as u64);
    assert_eq!(done(&house, 4).counts.latency.count(), new as u64);
    // A version that the client asks for by name is what it gets.
    assert_eq!(infer_as(&house, "/v2/models/m/versions/4/infer", None).await, 200);
    assert_eq!(peers[2].requests(), new + 1);
    let (_, stats) = house.get("/api/v1/endpoints/m/stats").await;
    assert_eq!(stats["versions"][1]["version"], 4);
    assert_eq!(stats["versions"][1]["requests"], new + 1);
    let text = house
        .http
        .get(format!("{}/metrics", house.url))
        .bearer_auth("t")
        .send()
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    let line = format!(
        "corliss_version_requests_total{{model_name=\"m\",version=\"4\"}} {}",
        new + 1
    );
    assert!(text.contains(&line), "{text}");
    assert!(
        text.contains("nv_inference_count{model=\"m\",version=\"4\""),
        "{text}"
    );
}

#[tokio::test]
async fn a_rule_that_names_a_version_goes_first() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    let routing = serde_json::from_value(json!({"rules": [
        {"when": [{"header": {"name": "x-session-id", "is": "beta"}}], "to": {"version": 4}},
    ]}));
    release(&house, Flavor::Onnx, &peers, split(0), routing.unwrap());
    assert_eq!(infer_as(&house, INFER, Some("beta")).await, 200);
    assert_eq!(infer_as(&house, INFER, Some("other")).await, 200);
    assert_eq!(peers[2].requests(), 1);
}

#[tokio::test]
async fn a_session_stays_with_its_version_and_moves_one_way_only() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    let mut before = Vec::new();
    for percent in [10, 50, 90] {
        release(&house, Flavor::Onnx, &peers, split(percent), Routing::default());
        let mut taken = Vec::new();
        for session in 0..60 {
            let session = format!("s{session}");
            let (mut new, start) = (0, peers[2].requests());
            for _ in 0..3 {
                assert_eq!(infer_as(&house, INFER, Some(&session)).await, 200);
                new = peers[2].requests() - start;
            }
            assert!(new == 0 || new == 3, "{session} went to both");
            taken.extend((new == 3).then_some(session));
        }
        assert!(
            before.iter().all(|session| taken.contains(session)),
            "somebody went back"
        );
        before = taken;
    }
    assert!(before.len() > 45, "{}", before.len());
}

#[tokio::test]
async fn a_caller_stays_where_callers_are_split() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    let by_caller = Split {
        percent: 50,
        copies: 0,
        by_caller: true,
    };
    release(&house, Flavor::Onnx, &peers, by_caller, Routing::default());
    for _ in 0..20 {
        assert_eq!(infer_as(&house, INFER, None).await, 200);
    }
    let new = peers[2].requests();
    assert!(new == 0 || new == 20, "one caller, {new} of 20");
}

#[tokio::test]
async fn a_new_version_that_fails_costs_nobody_an_answer_and_is_charged_with_it() {
    let mut peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    release(&house, Flavor::Gguf, &peers, split(100), Routing::default());
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    assert_eq!(peers[2].requests(), 1);
    peers[2].stop();
    for _ in 0..10 {
        let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
    }
    let new = done(&house, 4).counts;
    assert!(new.errors >= 1 && new.requests == new.errors + 1, "{new:?}");
    assert_eq!(done(&house, 3).counts.errors, 0);
    // With no replica left, its share goes to the others.
    release(&house, Flavor::Gguf, &peers[..2], split(100), Routing::default());
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
}

#[tokio::test]
async fn what_only_the_new_version_refuses_the_other_one_answers() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    // Nobody lets it try again, and there is no budget: what is released costs nobody an answer all the same.
    let routing = || serde_json::from_value(json!({"retry": {"attempts": 1, "budget_percent": 0}})).unwrap();
    for (flavor, path, body) in [
        (Flavor::Onnx, INFER, json!({"inputs": []})),
        (Flavor::Gguf, CHAT, chat(json!({}))),
    ] {
        release(&house, flavor, &peers, split(100), routing());
        for refusal in [
            Script::Refuse(400, "invalid_request"),
            Script::Refuse(500, "engine_compute_failed"),
        ] {
            peers[2].says(refusal);
            let (new, old) = (done(&house, 4).counts, done(&house, 3).counts);
            for _ in 0..5 {
                let (status, answer) = house.ask(path, &body).await;
                assert_eq!(status, 200, "{path}: {answer}");
            }
            let (new, old) = (
                done(&house, 4).counts.since(&new),
                done(&house, 3).counts.since(&old),
            );
            assert_eq!((new.requests, new.errors), (5, 5), "{path}");
            assert_eq!((old.requests, old.errors), (5, 0), "{path}");
        }
        // What both refuse is wrong, and counts against both.
        for peer in &peers {
            peer.says(Script::Refuse(400, "invalid_request"));
        }
        let old = done(&house, 3).counts;
        assert_eq!(house.ask(path, &body).await.0, 400);
        assert_eq!(done(&house, 3).counts.since(&old).errors, 1);
        for peer in &peers {
            peer.says(Script::Say(vec!["ok"]));
        }
    }
}

#[tokio::test]
async fn a_new_version_that_hangs_leaves_time_for_the_other_one() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    let routing = serde_json::from_value(json!({"timeout_ms": 2000, "retry": {"attempts": 1}})).unwrap();
    release(&house, Flavor::Gguf, &peers, split(100), routing);
    peers[2].says(Script::SayAndHang(vec![]));
    for stream in [false, true] {
        let request = house.post(CHAT, &chat(json!({"stream": stream})));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("ok"));
    }
    let (new, old) = (done(&house, 4).counts, done(&house, 3).counts);
    assert_eq!((new.requests, new.errors, old.errors), (2, 2, 0));
}

fn copies(percent: u32) -> Split {
    Split {
        percent: 0,
        copies: percent,
        by_caller: false,
    }
}

fn record(records: &Value, shadow: bool) -> Option<&Value> {
    let items = records["items"].as_array().unwrap();
    items
        .iter()
        .find(|record| record["shadow"].as_bool().unwrap_or(false) == shadow)
}

#[tokio::test]
async fn copies_go_to_the_shadow_and_nobody_notices() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    release(&house, Flavor::Onnx, &peers, copies(100), Routing::default());
    // The tensors of an answer here are those of its question, if bytes follow them.
    let tensors = r#"{"outputs":[{"name":"y"}]}"#;
    let ask = || async {
        let request = house.http.post(format!("{}{INFER}", house.url)).bearer_auth("t");
        let request = request.header("inference-header-content-length", tensors.len());
        let response = request.body(format!("{tensors}abcd")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
    };
    for _ in 0..5 {
        ask().await;
    }
    eventually("the copies are compared", || done(&house, 4).same == 5).await;
    assert_eq!((peers[2].requests(), done(&house, 4).counts.requests), (5, 5));
    // It fails: the caller gets the real answer, and the shadow its errors.
    peers[2].says(Script::Refuse(500, "engine_broken"));
    for _ in 0..5 {
        assert_eq!(infer_as(&house, INFER, None).await, 200);
    }
    eventually("the copies failed", || done(&house, 4).counts.errors == 5).await;
    let stats = &house.gateway.stats()[0];
    assert_eq!(
        (stats.requests_total, stats.failed_total),
        (10, 0),
        "a copy is no request of the endpoint"
    );
    let (_, records) = house.get("/api/v1/endpoints/m/requests").await;
    let copy = record(&records, true).unwrap();
    assert_eq!(
        (&copy["version"], &copy["outcome"]),
        (&json!(4), &json!(Outcome::Failed))
    );
    assert_eq!(record(&records, false).unwrap()["version"], 3);
}

#[tokio::test]
async fn a_shadow_that_hangs_delays_nobody_and_its_copies_are_bounded() {
    let peers = peers();
    let house = House::new(GatewayConfig::default()).await;
    release(&house, Flavor::Gguf, &peers, copies(100), Routing::default());
    peers[2].says(Script::SayAndHang(vec!["x"]));
    for _ in 0..40 {
        assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    }
    eventually("copies are skipped", || done(&house, 4).skipped == 8).await;
    assert_eq!(house.gateway.stats()[0].requests_total, 40);
}

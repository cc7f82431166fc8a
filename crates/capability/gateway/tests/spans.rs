//! Requests to language models become spans, those that end badly among them, and what is passed on lies in them.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use corliss_types::Flavor;
use serde_json::json;
use support::{House, Peer, Script, chat};

const CHAT: &str = "/v1/chat/completions";
const TRACE: [u8; 16] = *b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

type Calls = Arc<Mutex<Vec<Bytes>>>;

async fn take(State(calls): State<Calls>, body: Bytes) {
    calls.lock().unwrap().push(body);
}

async fn collector() -> (Calls, String) {
    let calls = Calls::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/v1/traces", post(take))
        .with_state(calls.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (calls, url)
}

/// How often this stands in what was sent so far. That the bytes are what they should be is for the tests with
/// OpenTelemetry's own types.
async fn told(house: &House, calls: &Calls, part: &[u8]) -> usize {
    house.gateway.drain().await;
    let calls = calls.lock().unwrap();
    let windows = calls.iter().flat_map(|body| body.windows(part.len()));
    windows.filter(|window| *window == part).count()
}

#[tokio::test]
async fn each_answer_is_a_span_of_its_caller_s_trace() {
    let peers = [Peer::new(1, Script::Say(vec!["a", "b"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (calls, url) = collector().await;
    house.gateway.export_spans(&url.parse().unwrap()).unwrap();
    let ask = |body, flags: &str| {
        let request = house
            .post(CHAT, &body)
            .header("traceparent", format!("{PARENT}-{flags}"));
        async move { request.send().await.unwrap().bytes().await.unwrap() }
    };
    ask(chat(json!({})), "01").await;
    assert_eq!(told(&house, &calls, &TRACE).await, 1);
    assert_eq!(told(&house, &calls, b"gen_ai.usage.output_tokens").await, 1);
    assert_eq!(told(&house, &calls, b"error.type").await, 0);
    ask(chat(json!({"stream": true})), "01").await;
    ask(chat(json!({"n": 2})), "01").await;
    assert_eq!(told(&house, &calls, &TRACE).await, 4);
    // Its caller says that nobody records it.
    ask(chat(json!({})), "00").await;
    assert_eq!(told(&house, &calls, &TRACE).await, 4);
    ask(chat(json!({"temperature": 7})), "01").await;
    assert_eq!(told(&house, &calls, b"error.type").await, 1);
    peers[0].says(Script::Refuse(400, "context_length_exceeded"));
    ask(chat(json!({})), "01").await;
    assert_eq!(
        told(&house, &calls, b"error.type").await,
        2,
        "once, though two could tell it"
    );
    assert_eq!(told(&house, &calls, &TRACE).await, 6);
    let metrics = house.http.get(format!("{}/metrics", house.url)).bearer_auth("t");
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("corliss_spans_sent_total{} 6"), "{metrics}");
}

#[tokio::test]
async fn without_a_collector_there_is_nothing_of_it() {
    let peers = [Peer::new(1, Script::Say(vec!["a"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    let metrics = house.http.get(format!("{}/metrics", house.url)).bearer_auth("t");
    assert!(
        !metrics
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("corliss_spans")
    );
}

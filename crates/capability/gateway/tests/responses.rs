//! OpenAI's responses in front of peers that speak the engine protocol.

#![allow(clippy::unwrap_used)]

mod support;

use corliss_types::Flavor;
use serde_json::{Value, json};
use support::{House, Peer, Script, eventually};

/// The events of a stream with their names, and what stands last.
async fn events(house: &House, body: &Value) -> (Vec<Value>, bool) {
    let text = house
        .post("/v1/responses", body)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let mut events = Vec::new();
    let mut is_done = false;
    for event in text.split("\n\n").filter(|event| !event.is_empty()) {
        if event == "data: [DONE]" {
            is_done = true;
            continue;
        }
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        assert_eq!(data["sequence_number"], events.len());
        events.push(data);
    }
    (events, is_done)
}

fn request(more: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hello", "instructions": "be brief"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_response_holds_one_message_and_counts_its_tokens() {
    let peers = [Peer::new(1, Script::Say(vec!["Hel", "lo"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, response) = house
        .ask(
            "/v1/responses",
            &request(json!({"max_output_tokens": 9, "metadata": {"a": "b"}})),
        )
        .await;
    assert_eq!(status, 200, "{response}");
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(
        (&response["status"], &response["store"], &response["metadata"]),
        (&json!("completed"), &json!(false), &json!({"a": "b"}))
    );
    assert_eq!(
        response["usage"],
        json!({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7})
    );
    let asked = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!(asked.max_tokens, Some(9));
    let messages = asked.messages.unwrap();
    assert_eq!(
        (messages[0].role.as_str(), messages[1].content.as_str()),
        ("system", "hello")
    );
}

#[tokio::test]
async fn a_response_that_breaks_off_ends_as_failed_and_never_cleanly() {
    for script in [Script::SayAndFail(vec!["half"]), Script::SayAndDie(vec!["half"])] {
        let peers = [Peer::new(1, script)];
        let house = House::with(Flavor::Gguf, &peers).await;
        let (events, is_done) = events(&house, &request(json!({"stream": true}))).await;
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["status"], "failed");
        assert_eq!(last["response"]["error"]["code"], "server_error");
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "half");
        assert!(!is_done, "nobody may take half an answer for a whole one");
    }
    let peers = [Peer::new(1, Script::Say(vec!["whole"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (events, is_done) = events(&house, &request(json!({"stream": true}))).await;
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert!(is_done);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let peers = [Peer::new(1, Script::SayAndHang(vec!["a"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let response = house
        .post("/v1/responses", &request(json!({"stream": true})))
        .send()
        .await;
    drop(response.unwrap());
    let state = peers[0].state.clone();
    eventually("the work to end", || {
        state.cancelled.load(std::sync::atomic::Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn what_the_engine_refuses_is_named_as_the_client_named_it() {
    let peers = [Peer::new(1, Script::Refuse(400, "context_length_exceeded"))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, answer) = house.ask("/v1/responses", &request(json!({}))).await;
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("input")));
    assert_eq!(answer["error"]["code"], "context_length_exceeded");
}

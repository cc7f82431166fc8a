//! OpenAI's dialect in front of peers that speak the engine protocol.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;

use corliss_types::Flavor;
use serde_json::{Value, json};
use support::{House, Peer, Script, chat, eventually};

const CHAT: &str = "/v1/chat/completions";

fn one(script: Script) -> [Peer; 1] {
    [Peer::new(1, script)]
}

#[tokio::test]
async fn a_chat_is_answered_whole() {
    let peers = one(Script::Say(vec!["Hel", "lo"]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let body = chat(json!({"max_tokens": 7, "temperature": 0, "seed": 4, "stop": "X", "user": "u", "n": 1}));
    let (status, answer) = house.ask(CHAT, &body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "m");
    assert_eq!(
        answer["choices"][0]["message"],
        json!({"role": "assistant", "content": "Hello", "refusal": null})
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        answer["usage"],
        json!({
            "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 3}
        })
    );
    let sent = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!(
        (sent.max_tokens, sent.seed, sent.stop),
        (Some(7), Some(4), vec!["X".to_owned()])
    );
    assert_eq!(sent.messages.unwrap()[0].content, "hello");
    let stats = &house.gateway.stats()[0];
    assert_eq!((stats.requests_total, stats.failed_total), (1, 0));
    assert_eq!((stats.prompt_tokens_total, stats.completion_tokens_total), (5, 2));
    assert_eq!(stats.in_flight[0].1, 0);
}

#[tokio::test]
async fn a_chat_is_streamed_and_ends_with_done() {
    let peers = one(Script::Say(vec!["Hel", "lo\n\nyou"]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let body = chat(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = house.events(CHAT, &body).await;
    assert_eq!(events.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Hello\n\nyou");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == "chat.completion.chunk")
    );
    let (last, before) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
    assert_eq!(before["choices"][0]["finish_reason"], "stop");
    assert!(before["usage"].is_null() && before.as_object().unwrap().contains_key("usage"));
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 7);

    let plain = house.events(CHAT, &chat(json!({"stream": true}))).await;
    assert!(plain.iter().all(|event| !event.contains("usage")));
}

#[tokio::test]
async fn a_completion_takes_text_or_tokens() {
    let peers = one(Script::Say(vec!["abc"]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, answer) = house
        .ask(
            "/v1/completions",
            &json!({"model": "m", "prompt": [1, 2], "max_tokens": 0}),
        )
        .await;
    assert_eq!(
        (status, answer["choices"][0]["text"].as_str()),
        (200, Some("abc"))
    );
    assert_eq!(answer["object"], "text_completion");
    let sent = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!((sent.prompt_tokens, sent.max_tokens), (Some(vec![1, 2]), Some(0)));
    let events = house
        .events(
            "/v1/completions",
            &json!({"model": "m", "prompt": ["x"], "stream": true}),
        )
        .await;
    assert_eq!(
        serde_json::from_str::<Value>(&events[0]).unwrap()["choices"][0]["text"],
        "abc"
    );
    assert_eq!(events.last().unwrap(), "[DONE]");
    let (status, answer) = house
        .ask("/v1/completions", &json!({"model": "m", "prompt": ["x", "y"]}))
        .await;
    assert_eq!((status, answer["error"]["param"].as_str()), (400, Some("prompt")));
}

#[tokio::test]
async fn models_are_the_endpoints_of_language_models() {
    let peers = one(Script::Say(vec![]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, list) = house.get("/v1/models").await;
    assert_eq!((status, list["data"][0]["id"].as_str()), (200, Some("m")));
    assert_eq!(house.get("/v1/models/m").await.1["object"], "model");
    assert_eq!(house.get("/v1/models/other").await.0, 404);
    house.route(Flavor::Onnx, &peers);
    assert_eq!(house.get("/v1/models").await.1["data"], json!([]));
    let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (400, Some("model_kind_mismatch"))
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_in_openai_s_shape() {
    let peers = one(Script::Refuse(400, "context_length_exceeded"));
    let house = House::with(Flavor::Gguf, &peers).await;
    let ask = async |body: Value| {
        let (status, answer) = house.ask(CHAT, &body).await;
        (status, answer["error"].clone())
    };
    let (status, error) = ask(json!({"model": "gone", "messages": [{"role": "user", "content": "x"}]})).await;
    assert_eq!(
        (status, error["code"].as_str(), error["type"].as_str()),
        (404, Some("model_not_found"), Some("invalid_request_error"))
    );
    let (status, error) = ask(chat(json!({}))).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (400, Some("context_length_exceeded"))
    );
    let (status, error) = ask(chat(json!({"tools": [{"type": "function"}]}))).await;
    assert_eq!(
        (status, error["param"].as_str(), error["code"].as_str()),
        (400, Some("tools"), Some("unsupported_parameter"))
    );
    let (status, error) = ask(chat(json!({"n": 2}))).await;
    assert_eq!((status, error["param"].as_str()), (400, Some("n")));
    let (status, error) = ask(chat(json!({"temperature": "hot"}))).await;
    assert_eq!((status, error["param"].as_str()), (400, Some("temperature")));
    let (status, error) = ask(json!({"messages": []})).await;
    assert_eq!((status, error["param"].as_str()), (400, Some("model")));
    let response = house
        .http
        .post(format!("{}{CHAT}", house.url))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    let stats = &house.gateway.stats()[0];
    assert_eq!(
        (stats.requests_total, stats.invalid_total, stats.failed_total),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let peers = one(Script::SayAndHang(vec!["one"]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let mut streamed = house
        .post(CHAT, &chat(json!({"stream": true})))
        .send()
        .await
        .unwrap();
    while !String::from_utf8_lossy(&streamed.chunk().await.unwrap().unwrap()).contains("one") {}
    assert_eq!(peers[0].state.running.load(Ordering::SeqCst), 1);
    drop(streamed);
    eventually("a stream's work ends", || {
        peers[0].state.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;

    // A client that waits for a whole answer, too.
    let waiting = tokio::spawn(house.post(CHAT, &chat(json!({}))).send());
    eventually("the second has begun", || peers[0].requests() == 2).await;
    waiting.abort();
    eventually("its work ends", || {
        peers[0].state.cancelled.load(Ordering::SeqCst) == 2
    })
    .await;
    eventually("both are counted", || {
        house.gateway.stats()[0].cancelled_total == 2
    })
    .await;
    assert_eq!(house.gateway.stats()[0].in_flight[0].1, 0);
}

#[tokio::test]
async fn a_break_after_the_first_token_is_told_and_not_hidden() {
    for script in [Script::SayAndDie(vec!["one"]), Script::SayAndFail(vec!["one"])] {
        let house_peers = [Peer::new(1, script), Peer::new(2, Script::Say(vec!["two"]))];
        let house = House::with(Flavor::Gguf, &house_peers).await;
        let events = house.events(CHAT, &chat(json!({"stream": true}))).await;
        assert!(events.iter().any(|event| event.contains("one")));
        let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
        assert!(last["error"]["message"].is_string(), "{last}");
        assert_eq!(
            house_peers[1].requests(),
            0,
            "half an answer must not be followed by another's"
        );
    }
}

#[tokio::test]
async fn a_whole_answer_survives_a_replica_that_dies_half_way() {
    let peers = [
        Peer::new(1, Script::SayAndDie(vec!["one"])),
        Peer::new(2, Script::Say(vec!["two"])),
    ];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, answer) = house.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(
        (status, answer["choices"][0]["message"]["content"].as_str()),
        (200, Some("two"))
    );
    let stats = &house.gateway.stats()[0];
    assert_eq!(
        (stats.requests_total, stats.retries_total, stats.failed_total),
        (1, 1, 0)
    );
}

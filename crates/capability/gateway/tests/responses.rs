//! OpenAI's responses in front of peers that speak the engine protocol.

#![allow(clippy::unwrap_used)]

mod support;

use corliss_engine::protocol::{AnswerFormat, ToolChoice};
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

fn offering() -> Value {
    request(
        json!({"tools": [{"type": "function", "name": "f", "description": "does it", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": true}),
    )
}

#[tokio::test]
async fn calls_are_items_behind_what_is_said() {
    let peers = [Peer::new(1, Script::Call)];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, whole) = house.ask("/v1/responses", &offering()).await;
    assert_eq!(status, 200, "{whole}");
    let asked = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!(
        (asked.tools[0].name.as_str(), asked.tool_choice),
        ("f", ToolChoice::Named("f".to_owned()))
    );
    assert_eq!(
        (&whole["tools"][0]["name"], &whole["tool_choice"]),
        (&json!("f"), &json!({"type": "function", "name": "f"}))
    );
    let output = whole["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call"]);
    assert_eq!(
        (
            &output[1]["name"],
            &output[1]["arguments"],
            &output[2]["arguments"]
        ),
        (&json!("f"), &json!("{\"a\": 1}"), &json!("{}"))
    );
    assert!(output[1]["call_id"] != output[2]["call_id"] && output[1]["id"] != output[2]["id"]);
    assert_eq!(whole["status"], "completed");
    let mut streaming = offering();
    streaming["stream"] = json!(true);
    let (events, is_done) = events(&house, &streaming).await;
    assert!(is_done);
    let names: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        names[2..],
        [
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let last = &events.last().unwrap()["response"]["output"];
    let told: Vec<_> = last
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["arguments"])
        .collect();
    assert_eq!(told, [&Value::Null, &json!("{\"a\": 1}"), &json!("{}")]);
    let added = &events[8];
    assert_eq!(
        (
            &added["output_index"],
            &added["item"]["arguments"],
            &added["item"]["status"]
        ),
        (&json!(1), &json!(""), &json!("in_progress"))
    );
    for event in &events[9..12] {
        assert_eq!(event["item_id"], added["item"]["id"], "{event}");
    }
    assert_eq!(events[11]["arguments"], "{\"a\": 1}");
    assert_eq!(events[12]["item"], last[1]);
}

#[tokio::test]
async fn a_format_reaches_the_engine_and_what_it_refuses_is_named() {
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    let format = json!({"type": "json_schema", "name": "n", "schema": schema, "strict": true});
    let body = request(json!({"text": {"format": format}}));
    let peers = [Peer::new(1, Script::Say(vec!["{}"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let (status, response) = house.ask("/v1/responses", &body).await;
    assert_eq!((status, &response["text"]["format"]), (200, &format));
    let asked = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!(asked.format, Some(AnswerFormat::JsonSchema(schema)));
    for (engine, client) in [
        ("format", "text.format.schema"),
        ("tools[0].parameters", "tools[0].parameters"),
        ("max_tokens", "max_output_tokens"),
    ] {
        peers[0].says(Script::RefuseField(engine));
        let (status, answer) = house.ask("/v1/responses", &body).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(client)));
    }
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

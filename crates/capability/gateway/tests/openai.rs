//! OpenAI's dialect in front of peers that speak the engine protocol.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use corliss_gateway::GatewayConfig;
use corliss_types::Flavor;
use serde_json::{Value, json};
use support::{House, Peer, Script, chat, eventually};

const CHAT: &str = "/v1/chat/completions";

fn one(script: Script) -> [Peer; 1] {
    [Peer::new(1, script)]
}

#[tokio::test]
async fn usage_is_told_at_the_end_or_always() {
    let peers = [Peer::new(1, Script::Say(vec!["a", "b"]))];
    let house = House::with(Flavor::Gguf, &peers).await;
    let usages = async |always: bool| {
        let options = json!({"include_usage": true, "continuous_usage_stats": always});
        let body = chat(json!({"stream": true, "stream_options": options}));
        let events = house.events("/v1/chat/completions", &body).await;
        let events = events.iter().filter(|event| *event != "[DONE]");
        let usage = |event: &String| {
            let event: Value = serde_json::from_str(event).unwrap();
            (
                event["usage"]["prompt_tokens"].as_u64(),
                event["usage"]["completion_tokens"].as_u64(),
            )
        };
        events.map(usage).collect::<Vec<_>>()
    };
    let (none, of) = ((None, None), |completion| (Some(5), Some(completion)));
    assert_eq!(usages(false).await, [none, none, none, none, of(2)]);
    assert_eq!(usages(true).await, [of(0), of(1), of(2), of(2), of(2)]);
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
            &json!({"model": "m", "prompt": [1, 2], "max_tokens": 7}),
        )
        .await;
    assert_eq!(
        (status, answer["choices"][0]["text"].as_str()),
        (200, Some("abc"))
    );
    assert_eq!(answer["object"], "text_completion");
    let sent = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!((sent.prompt_tokens, sent.max_tokens), (Some(vec![1, 2]), Some(7)));
    let nothing = json!({"model": "m", "prompt": "x", "max_tokens": 0});
    let (status, answer) = house.ask("/v1/completions", &nothing).await;
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("max_tokens")));
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
    for prompt in [json!([1, "x"]), json!(["x", 1]), json!({}), json!(vec!["x"; 65])] {
        let body = json!({"model": "m", "prompt": prompt});
        let (status, answer) = house.ask("/v1/completions", &body).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some("prompt")));
    }
}

fn completion(prompt: Value, more: Value) -> Value {
    let mut body = json!({"model": "m", "prompt": prompt});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn several_prompts_and_answers_have_indices_by_prompt() {
    let peers = one(Script::ByPrompt);
    let house = House::with(Flavor::Gguf, &peers).await;
    let body = completion(json!(["a", "b"]), json!({"n": 2, "best_of": 2, "seed": 3}));
    let (status, answer) = house.ask("/v1/completions", &body).await;
    assert_eq!(status, 200, "{answer}");
    let choices: Vec<_> = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| {
            (
                choice["index"].as_u64().unwrap(),
                choice["text"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(choices, [(0, "a!"), (1, "a!"), (2, "b!"), (3, "b!")]);
    // Five tokens of each prompt, two of each answer.
    assert_eq!(
        answer["usage"],
        json!({
            "prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 6}
        })
    );
    let mut seeds = peers[0].state.seeds.lock().unwrap().clone();
    assert!(seeds.contains(&Some(3)) && !seeds.contains(&None));
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 2, "the same two for each prompt");

    let body = completion(json!([[1, 2], [3]]), json!({}));
    let (_, answer) = house.ask("/v1/completions", &body).await;
    assert_eq!(answer["choices"][1]["text"], "[3]!");

    let (_, answer) = house.ask(CHAT, &chat(json!({"n": 3}))).await;
    assert_eq!(answer["choices"].as_array().unwrap().len(), 3);
    assert_eq!(answer["choices"][2]["index"], 2);
    assert_eq!(answer["usage"]["prompt_tokens"], 5);
}

#[tokio::test]
async fn a_stream_of_several_answers_names_the_index_of_each_piece() {
    let peers = one(Script::ByPrompt);
    let house = House::with(Flavor::Gguf, &peers).await;
    let more = json!({"n": 2, "stream": true, "stream_options": {"include_usage": true}});
    let events = house
        .events("/v1/completions", &completion(json!(["a", "b"]), more.clone()))
        .await;
    assert_eq!(events.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let mut texts = vec![String::new(); 4];
    let mut ended = vec![0; 4];
    for choice in chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().unwrap())
    {
        let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        assert_eq!(ended[index], 0, "nothing follows the end of a choice");
        texts[index].push_str(choice["text"].as_str().unwrap());
        ended[index] += usize::from(choice["finish_reason"].is_string());
    }
    assert_eq!(texts, ["a!", "a!", "b!", "b!"]);
    assert_eq!(ended, [1; 4]);
    assert_eq!(
        chunks.last().unwrap()["usage"],
        json!({
            "prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 6}
        })
    );
    let mut opened: Vec<u64> = house
        .events(CHAT, &chat(more))
        .await
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter(|chunk| chunk["choices"][0]["delta"]["role"] == "assistant")
        .map(|chunk| chunk["choices"][0]["index"].as_u64().unwrap())
        .collect();
    opened.sort_unstable();
    assert_eq!(opened, [0, 1]);
}

#[tokio::test]
async fn one_bad_prompt_fails_the_request_with_its_place_and_frees_the_others() {
    let peers = one(Script::ByPrompt);
    let house = House::with(Flavor::Gguf, &peers).await;
    for stream in [false, true] {
        let body = completion(json!(["hang", "bad"]), json!({"n": 2, "stream": stream}));
        let (status, answer) = house.ask("/v1/completions", &body).await;
        assert_eq!(
            (status, answer["error"]["param"].as_str()),
            (400, Some("prompt[1][7]")),
            "{answer}"
        );
        eventually("the others are free", || {
            peers[0].state.running.load(Ordering::SeqCst) == 0 && house.gateway.stats()[0].in_flight[0].1 == 0
        })
        .await;
    }
    let (_, answer) = house
        .ask("/v1/completions", &completion(json!("bad"), json!({})))
        .await;
    assert_eq!(answer["error"]["param"], "prompt[7]");

    // After the first piece it is an event, and no end follows.
    let body = completion(json!(["hang", "break"]), json!({"stream": true}));
    let events = house.events("/v1/completions", &body).await;
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert!(last["error"]["message"].is_string(), "{last}");
    eventually("the other is free", || {
        peers[0].state.running.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_every_answer() {
    let peers = one(Script::ByPrompt);
    let house = House::with(Flavor::Gguf, &peers).await;
    for stream in [true, false] {
        let before = peers[0].requests();
        let body = completion(json!(["hang", "hang"]), json!({"n": 2, "stream": stream}));
        let waiting = tokio::spawn(house.post("/v1/completions", &body).send());
        eventually("all four have begun", || peers[0].requests() == before + 4).await;
        if stream {
            drop(waiting.await.unwrap().unwrap());
        } else {
            waiting.abort();
        }
        eventually("none goes on", || {
            peers[0].state.running.load(Ordering::SeqCst) == 0 && house.gateway.stats()[0].in_flight[0].1 == 0
        })
        .await;
    }
    eventually("each is counted", || {
        house.gateway.stats()[0].cancelled_total == 8
    })
    .await;
}

#[tokio::test]
async fn answers_that_wait_their_turn_are_not_taken_for_silent_ones() {
    let peers = one(Script::ByPrompt);
    let config = GatewayConfig {
        silence_timeout: Duration::from_millis(100),
        ..GatewayConfig::default()
    };
    let house = House::new(config).await;
    house.route(Flavor::Gguf, &peers);
    let ask = async |prompt: Value| {
        let (status, answer) = house.ask("/v1/completions", &completion(prompt, json!({}))).await;
        (status, answer["choices"][1]["text"].clone())
    };
    assert_eq!(ask(json!("slow")).await.0, 504, "a lone one is silent");
    assert_eq!(ask(json!(["a", "slow"])).await, (200, json!("slow!")));
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_by_name() {
    let peers = one(Script::Say(vec!["a"]));
    let house = House::with(Flavor::Gguf, &peers).await;
    for (more, param) in [
        (json!({"max_tokens": 1, "max_completion_tokens": 2}), "max_tokens"),
        (json!({"n": 1_000_000}), "n"),
        (json!({"n": 2, "best_of": 3}), "best_of"),
        (json!({"n": 2, "best_of": 1}), "best_of"),
        (json!({"echo": "yes"}), "echo"),
        (json!({"logprobs": 6}), "logprobs"),
    ] {
        let (status, answer) = house.ask("/v1/completions", &completion(json!("x"), more)).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(param)));
    }
    let body = completion(json!(vec!["x"; 64]), json!({"n": 3}));
    let (status, answer) = house.ask("/v1/completions", &body).await;
    assert_eq!((status, answer["error"]["param"].as_str()), (400, Some("n")));
    let (status, answer) = house.ask(CHAT, &chat(json!({"echo": true}))).await;
    assert_eq!((status, answer["error"]["param"].as_str()), (400, Some("echo")));
    assert_eq!(peers[0].requests(), 0);

    let body = completion(
        json!("x"),
        json!({"echo": true, "max_completion_tokens": 4, "max_tokens": 4}),
    );
    assert_eq!(house.ask("/v1/completions", &body).await.0, 200);
    let sent = peers[0].state.last.lock().unwrap().clone().unwrap();
    assert_eq!((sent.echo, sent.max_tokens), (true, Some(4)));
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
        (status, error["code"].as_str(), error["param"].as_str()),
        (400, Some("context_length_exceeded"), Some("messages"))
    );
    for (body, param) in [
        (
            json!({"stream": true, "stream_options": {"x": 1}}),
            "stream_options.x",
        ),
        (json!({"max_tokens": 7, "max_completion_tokens": 8}), "max_tokens"),
        (json!({"max_completion_tokens": 0}), "max_completion_tokens"),
        (json!({"functions": []}), "functions"),
        (json!({"structured_outputs": {}}), "structured_outputs"),
        (
            json!({"messages": [{"role": "tool", "content": "7", "tool_call_id": "c"}]}),
            "messages[0].tool_call_id",
        ),
    ] {
        let (status, error) = ask(chat(body)).await;
        assert_eq!((status, error["param"].as_str()), (400, Some(param)));
    }
    let (status, error) = ask(chat(json!({"functions": [{"name": "f"}]}))).await;
    assert_eq!(
        (status, error["param"].as_str(), error["code"].as_str()),
        (400, Some("functions"), Some("unsupported_parameter"))
    );
    let (status, error) = ask(chat(json!({"n": 17}))).await;
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
async fn how_to_sample_reaches_the_engine_and_a_wrong_type_is_named() {
    let peers = one(Script::Say(vec!["a"]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let body = json!({"min_p": 0.1, "frequency_penalty": 0.5, "presence_penalty": -1, "repetition_penalty": 1.2,
        "logit_bias": {"17": -100, "9": 2.5}});
    for (path, body) in [
        (CHAT, chat(body.clone())),
        ("/v1/completions", {
            let mut body = body;
            (body["model"], body["prompt"]) = (json!("m"), json!("x"));
            body
        }),
    ] {
        assert_eq!(house.ask(path, &body).await.0, 200);
        let sent = peers[0].state.last.lock().unwrap().take().unwrap();
        assert_eq!((sent.min_p, sent.repetition_penalty), (Some(0.1), Some(1.2)));
        assert_eq!(
            (sent.frequency_penalty, sent.presence_penalty),
            (Some(0.5), Some(-1.0))
        );
        let mut biases = sent.logit_bias;
        biases.sort_by_key(|(token, _)| *token);
        assert_eq!(biases, [(9, 2.5), (17, -100.0)]);
    }
    for (name, value) in [
        ("min_p", json!("low")),
        ("frequency_penalty", json!([1])),
        ("presence_penalty", json!("x")),
        ("repetition_penalty", json!({})),
        ("logit_bias", json!([1, 2])),
        ("logit_bias", json!({"one": 2})),
        ("logit_bias", json!({"1": "two"})),
        ("logit_bias", json!({"1": null})),
    ] {
        let (status, answer) = house.ask(CHAT, &chat(json!({ name: value }))).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(name)));
    }
    assert_eq!(peers[0].requests(), 2, "what is wrong never reaches an engine");
}

#[tokio::test]
async fn calls_of_tools_have_openai_s_shape_whole_and_in_pieces() {
    let peers = one(Script::Call);
    let house = House::with(Flavor::Gguf, &peers).await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let (status, answer) = house
        .ask(CHAT, &chat(json!({"tools": tools, "tool_choice": "required"})))
        .await;
    assert_eq!(status, 200, "{answer}");
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "Well.");
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!((calls.len(), calls[0]["type"].as_str()), (2, Some("function")));
    assert_eq!(
        calls[0]["function"],
        json!({"name": "f", "arguments": "{\"a\": 1}"})
    );
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    let sent = peers[0].state.last.lock().unwrap().take().unwrap();
    assert_eq!(
        (sent.tools[0].name.as_str(), sent.parallel_tool_calls),
        ("f", true)
    );

    let events = house
        .events(CHAT, &chat(json!({"tools": tools, "stream": true})))
        .await;
    assert_eq!(events.last().unwrap(), "[DONE]");
    let mut made: Vec<(String, String)> = vec![];
    for event in &events[..events.len() - 1] {
        let chunk: Value = serde_json::from_str(event).unwrap();
        for call in chunk["choices"][0]["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if let Some(id) = call["id"].as_str() {
                assert_eq!((at, call["type"].as_str()), (made.len(), Some("function")));
                assert_eq!(call["function"]["name"], "f");
                made.push((id.to_owned(), String::new()));
            }
            made[at]
                .1
                .push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    let arguments: Vec<_> = made.iter().map(|(_, arguments)| arguments.as_str()).collect();
    assert_eq!(arguments, ["{\"a\": 1}", "{}"]);
    assert!(events[events.len() - 2].contains("\"finish_reason\":\"tool_calls\""));
}

#[tokio::test]
async fn a_refused_format_is_named_as_the_client_named_it() {
    let peers = one(Script::RefuseField("format"));
    let house = House::with(Flavor::Gguf, &peers).await;
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"not": {}}}});
    let (status, answer) = house.ask(CHAT, &chat(json!({"response_format": schema}))).await;
    assert_eq!(
        (status, answer["error"]["param"].as_str()),
        (400, Some("response_format.json_schema.schema"))
    );
    let body = completion(json!("x"), json!({"guided_regex": "("}));
    let (_, answer) = house.ask("/v1/completions", &body).await;
    assert_eq!(answer["error"]["param"], "guided_regex");
    peers[0].says(Script::RefuseField("tools[1].parameters"));
    let (_, answer) = house.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(answer["error"]["param"], "tools[1].function.parameters");
}

#[tokio::test]
async fn who_is_refused_hears_when_the_engine_will_have_room() {
    let peers = one(Script::Overloaded(17));
    let house = House::with(Flavor::Gguf, &peers).await;
    let body = chat(json!({"priority": -3, "deadline_ms": 5000}));
    let response = house.post(CHAT, &body).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"17".parse().unwrap())
    );
    let sent = peers[0].state.last.lock().unwrap().take().unwrap();
    assert_eq!((sent.priority, sent.deadline_ms), (-3, Some(5000)));
    for (name, value) in [
        ("priority", json!("high")),
        ("deadline_ms", json!(-1)),
        ("deadline_ms", json!(1.5)),
    ] {
        let (status, answer) = house.ask(CHAT, &chat(json!({ name: value }))).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(name)));
    }
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
    let left = house.newest("m").await;
    assert_eq!(
        (&left["outcome"], &left["completion_tokens"]),
        (&json!("cancelled"), &json!(1))
    );

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

#[tokio::test]
async fn embeddings_are_numbers_or_base64_in_order() {
    const PATH: &str = "/v1/embeddings";
    let peers = one(Script::Say(vec![]));
    let house = House::with(Flavor::Gguf, &peers).await;
    let ask = async |more: Value| {
        let mut body = json!({"model": "m", "user": "u"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        house.ask(PATH, &body).await
    };
    let (status, answer) = ask(json!({"input": ["a", "b"]})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer,
        json!({
            "object": "list",
            "model": "m",
            "data": [
                {"object": "embedding", "index": 0, "embedding": [0.0, 0.5]},
                {"object": "embedding", "index": 1, "embedding": [1.0, 0.5]},
            ],
            "usage": {"prompt_tokens": 11, "total_tokens": 11},
        })
    );
    let (_, answer) = ask(json!({"input": [[1, 2], [3]], "encoding_format": "base64"})).await;
    assert_eq!(answer["data"][1]["embedding"], "AACAPwAAAD8=");
    assert_eq!(house.gateway.stats()[0].prompt_tokens_total, 22);
    for (more, param) in [
        (json!({}), "input"),
        (json!({"input": 5}), "input"),
        (json!({"input": vec!["x"; 2049]}), "input"),
        (json!({"input": "x", "encoding_format": "hex"}), "encoding_format"),
        (json!({"input": "x", "dimensions": "few"}), "dimensions"),
        (json!({"input": "x", "truncate": true}), "truncate"),
    ] {
        let (status, answer) = ask(more).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(param)));
    }
    assert_eq!(peers[0].requests(), 2);
    peers[0].says(Script::Refuse(400, "invalid_request"));
    let (_, answer) = ask(json!({"input": [7, 8]})).await;
    assert_eq!(answer["error"]["param"], "input[3]");
    let (_, answer) = ask(json!({"input": [[7, 8]]})).await;
    assert_eq!(answer["error"]["param"], "input[0][3]");
}

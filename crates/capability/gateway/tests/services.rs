//! Endpoints that services elsewhere answer: what reaches the service, what comes back, and what happens when it is
//! wrong, slow, busy or gone.
#![allow(clippy::unwrap_used, clippy::panic)] // A helper of a test may fail it.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use corliss_gateway::{GatewayConfig, RouteEndpoint, RouteReplica, RouteWay, Serves, ServiceAddress};
use corliss_policy_serving::Routing;
use corliss_types::{Flavor, IdSeed, ReplicaId, ServiceDialect, Timestamp};
use http::HeaderValue;
use serde_json::{Value, json};
use support::{House, Peer, Script, chat, endpoint, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A service that answers every request with the same bytes, and closes the connection where it is told to.
struct Service {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    /// Connections whose client went away while the answer was open.
    left: Arc<Mutex<usize>>,
}

#[derive(Clone, Copy)]
struct Plays {
    answer: &'static str,
    /// What becomes of the connection after it.
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Keep,
    Close,
    Hold,
}

impl Service {
    async fn plays(answer: &'static str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let service = Self {
            url,
            heard: Arc::default(),
            left: Arc::default(),
        };
        let (heard, left) = (service.heard.clone(), service.left.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let plays = Plays { answer, then };
                tokio::spawn(talk(stream, plays, heard.clone(), left.clone()));
            }
        });
        service
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn talk(mut stream: TcpStream, plays: Plays, heard: Arc<Mutex<Vec<String>>>, left: Arc<Mutex<usize>>) {
    loop {
        let mut bytes = Vec::new();
        let request = loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break text;
                }
            }
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        heard.lock().unwrap().push(request);
        stream.write_all(plays.answer.as_bytes()).await.unwrap();
        match plays.then {
            Then::Keep => {}
            Then::Close => return,
            Then::Hold => {
                let gone = stream.read(&mut [0; 16]).await;
                assert_eq!(gone.unwrap_or(0), 0);
                *left.lock().unwrap() += 1;
                return;
            }
        }
    }
}

fn route(name: &str, dialect: ServiceDialect, services: &[&Service], routing: Routing) -> RouteEndpoint {
    let replicas = services.iter().enumerate().map(|(index, service)| RouteReplica {
        id: ReplicaId::new(IdSeed {
            at: Timestamp::default(),
            random: [u8::try_from(index).unwrap(); 10],
        }),
        version: 1,
        weight: 1,
        way: RouteWay::Service(Arc::new(ServiceAddress {
            url: service.url.parse().unwrap(),
            model: "meta/llama".to_owned(),
            key: Some(HeaderValue::from_static("Bearer sk-there")),
        })),
    });
    RouteEndpoint {
        name: name.to_owned(),
        model: "meta/llama".to_owned(),
        version: 1,
        serves: Serves::Service(dialect),
        reason: None,
        routing: Arc::new(routing),
        replicas: replicas.collect(),
        release: None,
    }
}

async fn house(dialect: ServiceDialect, services: &[&Service], routing: Routing) -> House {
    let house = House::new(GatewayConfig::default()).await;
    house.route_each(vec![route("m", dialect, services, routing)]);
    house
}

fn retrying(attempts: u32) -> Routing {
    serde_json::from_value(json!({ "retry": { "attempts": attempts } })).unwrap()
}

/// An answer of this status with this body.
fn says(status: u16, more: &str, body: &str) -> &'static str {
    let head = format!("HTTP/1.1 {status} Said\r\n{more}content-type: application/json\r\n");
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).leak()
}

/// A stream of these events, with its end if it has one.
fn streams(events: &[&str], ends: bool) -> &'static str {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = events.iter().map(|event| {
        let event = format!("data: {event}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    });
    let end = if ends { "0\r\n\r\n" } else { "" };
    format!("{head}{}{end}", chunks.collect::<String>()).leak()
}

const ANSWER: &str = r#"{"id":"x","model":"meta/llama","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#;
const FIRST: &str = r#"{"choices":[{"delta":{"content":"a"},"index":0}]}"#;
const LAST: &str = r#"{"choices":[{"finish_reason":"stop"}]}"#;
const COUNTS: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#;

fn whole() -> &'static str {
    says(200, "", ANSWER)
}

fn stream() -> &'static str {
    streams(&[FIRST, LAST, COUNTS, "[DONE]"], true)
}

fn busy() -> &'static str {
    says(503, "retry-after: 7\r\n", r#"{"error":"loaded"}"#)
}

#[tokio::test]
async fn a_chat_is_passed_on_as_it_is_under_the_services_own_name() {
    let service = Service::plays(whole(), Then::Keep).await;
    let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
    for _ in 0..2 {
        let response = house
            .post(
                "/v1/chat/completions",
                &chat(json!({ "unheard_of": [1.50], "temperature": 9 })),
            )
            .header("x-secret", "s")
            .header("traceparent", "00-1-2-01")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.text().await.unwrap(), ANSWER);
    }
    let heard = service.heard();
    assert_eq!(heard.len(), 2);
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{head}");
    for said in [
        "authorization: Bearer sk-there",
        "traceparent: 00-1-2-01",
        "x-request-id: ",
    ] {
        assert!(head.contains(said), "{said} in {head}");
    }
    // Neither the caller's own token nor anything else of its headers.
    assert!(!head.contains("Bearer t") && !head.contains("x-secret"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["model"], "meta/llama");
    assert_eq!(body["unheard_of"], json!([1.5]));
    let record = house.newest("m").await;
    assert_eq!(
        (
            &record["prompt_tokens"],
            &record["completion_tokens"],
            &record["outcome"]
        ),
        (&json!(9), &json!(4), &json!("answered"))
    );
    let (_, stats) = house.get("/api/v1/endpoints/stats").await;
    assert!(stats.is_null() || stats.is_object());
    let (_, models) = house.get("/v1/models").await;
    assert_eq!(models["data"][0]["id"], "m");
}

#[tokio::test]
async fn a_stream_passes_and_tells_its_usage_only_to_who_asked() {
    let service = Service::plays(stream(), Then::Keep).await;
    let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
    let events = house
        .events("/v1/chat/completions", &chat(json!({ "stream": true })))
        .await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[2], "[DONE]");
    assert!(service.heard()[0].contains("\"include_usage\":true"));
    let asked = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let events = house.events("/v1/chat/completions", &chat(asked)).await;
    assert_eq!(events.len(), 4, "{events:?}");
    let record = house.newest("m").await;
    assert_eq!(
        (
            &record["prompt_tokens"],
            &record["completion_tokens"],
            &record["outcome"]
        ),
        (&json!(9), &json!(4), &json!("answered"))
    );
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error() {
    let cut = streams(&[FIRST], false);
    let service = Service::plays(cut, Then::Close).await;
    let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
    let events = house
        .events("/v1/chat/completions", &chat(json!({ "stream": true })))
        .await;
    assert_eq!(events.len(), 2, "{events:?}");
    let error: Value = serde_json::from_str(&events[1]).unwrap();
    assert_eq!(error["error"]["code"], "upstream_connection_lost");
    assert_eq!(house.newest("m").await["outcome"], "failed");
}

#[tokio::test]
async fn whoever_goes_away_ends_the_services_work() {
    let open = streams(&[FIRST], false);
    let service = Service::plays(open, Then::Hold).await;
    let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
    let mut response = house
        .post("/v1/chat/completions", &chat(json!({ "stream": true })))
        .send()
        .await
        .unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    eventually("the service was told", || *service.left.lock().unwrap() == 1).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let left = house.newest("m").await;
    assert_eq!(
        (&left["outcome"], &left["completion_tokens"]),
        (&json!("cancelled"), &json!(1))
    );
}

#[tokio::test]
async fn what_one_cannot_answer_another_does() {
    let answers = Service::plays(whole(), Then::Keep).await;
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"choices\":";
    let failing = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
    for broken in [busy(), failing, cut, ""] {
        let broken = Service::plays(broken, Then::Close).await;
        let house = house(ServiceDialect::OpenAi, &[&broken, &answers], retrying(2)).await;
        for _ in 0..4 {
            let (status, answer) = house.ask("/v1/chat/completions", &chat(json!({}))).await;
            assert_eq!((status, &answer["id"]), (200, &json!("x")));
        }
        assert!(!broken.heard().is_empty());
    }
}

#[tokio::test]
async fn what_a_service_says_is_wrong_is_told_as_it_said_it() {
    let told = [
        (
            says(
                422,
                "",
                "{\"error\":{\"message\":\"too hot\",\"param\":\"temperature\",\"x\":1}}",
            ),
            (400, "too hot", Some("temperature")),
        ),
        (busy(), (503, "the service answered 503: loaded", None)),
        (
            says(401, "", r#"{"error":"wrong sk-there"}"#),
            (
                503,
                "the service refuses the key that it was shown (401 Unauthorized)",
                None,
            ),
        ),
    ];
    for (answer, (status, message, field)) in told {
        let service = Service::plays(answer, Then::Keep).await;
        let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
        let response = house
            .post("/v1/chat/completions", &chat(json!({})))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status);
        if status == 503 && message.ends_with("loaded") {
            assert_eq!(response.headers()["retry-after"], "7");
        }
        let error: Value = response.json().await.unwrap();
        let said = error["error"]["message"].as_str().unwrap();
        assert!(said.starts_with(message), "{said}");
        assert_eq!(error["error"]["param"].as_str(), field);
    }
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused_here() {
    let service = Service::plays(whole(), Then::Keep).await;
    let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
    let send = |body: &'static str| {
        let request = house.http.post(format!("{}/v1/chat/completions", house.url));
        let request = request
            .bearer_auth("t")
            .header("content-type", "application/json");
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(send("{").await, 400);
    assert_eq!(
        send(r#"{"model":"m","messages":[],"messages":[{"role":"user","content":"x"}]}"#).await,
        400
    );
    assert_eq!(
        send(r#"{"model":"nobody","messages":[{"role":"user","content":"x"}]}"#).await,
        404
    );
    let (status, _) = house.ask("/v2/models/m/infer", &json!({ "inputs": [] })).await;
    assert_eq!(status, 400);
    assert!(service.heard().is_empty());
}

#[tokio::test]
async fn a_service_that_leads_back_here_is_found_out() {
    let house = House::new(GatewayConfig::default()).await;
    let mut itself = route(
        "m",
        ServiceDialect::OpenAi,
        &[&Service::plays(whole(), Then::Keep).await],
        Routing::default(),
    );
    itself.replicas[0].way = RouteWay::Service(Arc::new(ServiceAddress {
        url: format!("{}/v1", house.url).parse().unwrap(),
        model: "m".to_owned(),
        key: Some(HeaderValue::from_static("Bearer t")),
    }));
    house.route_each(vec![itself]);
    let (status, answer) = house.ask("/v1/chat/completions", &chat(json!({}))).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("lead to one another"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_rule_sends_long_prompts_to_a_service() {
    let (service, peer) = (
        Service::plays(whole(), Then::Keep).await,
        Peer::new(1, Script::Say(vec!["a"])),
    );
    let house = House::new(GatewayConfig::default()).await;
    let rules = json!({ "rules": [{ "when": [{ "prompt_tokens": { "at_least": 100 } }], "to": { "pool": "cloud" } }] });
    let routing: Routing = serde_json::from_value(rules).unwrap();
    house.route_each(vec![
        endpoint("m", Flavor::Gguf, std::slice::from_ref(&peer), routing),
        route("cloud", ServiceDialect::OpenAi, &[&service], Routing::default()),
    ]);
    let (status, here) = house.ask("/v1/chat/completions", &chat(json!({}))).await;
    assert_eq!((status, service.heard().len()), (200, 0), "{here}");
    let long = json!({ "messages": [{ "role": "user", "content": "word ".repeat(200) }] });
    let (status, there) = house.ask("/v1/chat/completions", &chat(long)).await;
    assert_eq!(
        (status, &there["id"], service.heard().len()),
        (200, &json!("x"), 1)
    );
}

#[tokio::test]
async fn models_here_and_services_fall_back_to_each_other() {
    let (service, peer) = (
        Service::plays(whole(), Then::Keep).await,
        Peer::new(1, Script::Say(vec!["here"])),
    );
    let gone = Service::plays("", Then::Close).await;
    let house = House::new(GatewayConfig::default()).await;
    let to = |name: &str| -> Routing { serde_json::from_value(json!({ "fallback": [name] })).unwrap() };
    house.route_each(vec![
        endpoint("stopped", Flavor::Gguf, &[], to("cloud")),
        endpoint(
            "local",
            Flavor::Gguf,
            std::slice::from_ref(&peer),
            Routing::default(),
        ),
        route("cloud", ServiceDialect::OpenAi, &[&service], Routing::default()),
        route("dead", ServiceDialect::OpenAi, &[&gone], to("local")),
    ]);
    let (status, answer) = house
        .ask("/v1/chat/completions", &chat(json!({ "model": "stopped" })))
        .await;
    assert_eq!((status, &answer["id"]), (200, &json!("x")), "{answer}");
    assert_eq!(house.newest("cloud").await["instead_of"], "stopped");
    let (status, answer) = house
        .ask("/v1/chat/completions", &chat(json!({ "model": "dead" })))
        .await;
    assert_eq!(
        (status, &answer["choices"][0]["message"]["content"]),
        (200, &json!("here")),
        "{answer}"
    );
    let wrong = json!({ "model": "stopped", "messages": [] });
    let (status, _) = house.ask("/v1/chat/completions", &chat(wrong)).await;
    assert_eq!((status, service.heard().len()), (400, 1));
}

#[tokio::test]
async fn tensors_reach_a_service_on_every_surface() {
    let told = concat!(
        r#"{"name":"meta/llama","platform":"onnx","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],"#,
        r#""model_name":"meta/llama","outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"data":[7.0]}]}"#
    );
    let told = says(200, "", told);
    let service = Service::plays(told, Then::Keep).await;
    let house = house(ServiceDialect::OpenInference, &[&service], Routing::default()).await;
    let body =
        json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0] }] });
    let (status, answer) = house.ask("/v2/models/m/infer", &body).await;
    assert_eq!(
        (status, &answer["outputs"][0]["data"]),
        (200, &json!([7.0])),
        "{answer}"
    );
    assert!(service.heard()[0].starts_with("POST /v1/v2/models/meta%2Fllama/infer "));
    let (status, metadata) = house.get("/v2/models/m").await;
    assert_eq!(
        (status, &metadata["inputs"][0]["name"]),
        (200, &json!("x")),
        "{metadata}"
    );
    let (status, answer) = house
        .ask("/v1/models/m:predict", &json!({ "instances": [[1.0, 2.0]] }))
        .await;
    assert_eq!(
        (status, &answer["predictions"]),
        (200, &json!([[7.0]])),
        "{answer}"
    );
    let (status, _) = house.ask("/v1/chat/completions", &chat(json!({}))).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_is_no_answer_is_held_against_the_service_though_it_says_200() {
    let page = says(200, "", "<!doctype html><title>Welcome</title>");
    for (nonsense, why) in [
        (page, "a page of a web site"),
        (says(200, "", ""), "it is empty"),
        (says(200, "", "\"hello\""), "not a JSON object"),
    ] {
        let (wrong, right) = (
            Service::plays(nonsense, Then::Keep).await,
            Service::plays(whole(), Then::Keep).await,
        );
        let alone = house(ServiceDialect::OpenAi, &[&wrong], retrying(1)).await;
        for stream in [false, true] {
            let (status, answer) = alone
                .ask("/v1/chat/completions", &chat(json!({ "stream": stream })))
                .await;
            assert_eq!(
                (status, &answer["error"]["code"]),
                (503, &json!("upstream_answer_invalid"))
            );
            assert!(
                answer["error"]["message"].as_str().unwrap().contains(why),
                "{answer}"
            );
        }
        assert!(alone.gateway.troubles("m")[0].1.contains(why));
        // Who has another address does not notice.
        let both = house(ServiceDialect::OpenAi, &[&wrong, &right], retrying(2)).await;
        for _ in 0..4 {
            assert_eq!(both.ask("/v1/chat/completions", &chat(json!({}))).await.0, 200);
        }
    }
    let wrong = Service::plays(page, Then::Keep).await;
    let tensors = house(ServiceDialect::OpenInference, &[&wrong], retrying(1)).await;
    assert_eq!(
        tensors
            .ask("/v2/models/m/infer", &json!({ "inputs": [] }))
            .await
            .0,
        503
    );
    assert_eq!(tensors.get("/v2/models/m").await.0, 503);
}

#[tokio::test]
async fn an_address_that_is_silent_is_noted_until_it_answers() {
    let silent = Service::plays("", Then::Hold).await;
    let routing = json!({ "timeout_ms": 200, "retry": { "attempts": 1 } });
    let routing: Routing = serde_json::from_value(routing).unwrap();
    let house = house(ServiceDialect::OpenAi, &[&silent], routing).await;
    assert!(house.gateway.troubles("m").is_empty());
    assert_eq!(house.ask("/v1/chat/completions", &chat(json!({}))).await.0, 504);
    let troubles = house.gateway.troubles("m");
    assert!(troubles[0].1.contains("0.2"), "{troubles:?}");
    // The same address, told to be somewhere that answers.
    let right = Service::plays(whole(), Then::Keep).await;
    house.route_each(vec![route("m", ServiceDialect::OpenAi, &[&right], retrying(1))]);
    assert_eq!(house.ask("/v1/chat/completions", &chat(json!({}))).await.0, 200);
    assert!(house.gateway.troubles("m").is_empty());
}

#[tokio::test]
async fn a_stream_that_is_none_or_gives_up_is_no_answer() {
    let streaming = || chat(json!({ "stream": true }));
    for (answer, why) in [
        (whole(), "a stream was asked for"),
        (streams(&["{broken"], true), "an event is no JSON object"),
        (
            streams(&[r#"{"error":{"message":"out"}}"#, "[DONE]"], true),
            "began with an error",
        ),
    ] {
        let service = Service::plays(answer, Then::Keep).await;
        let house = house(ServiceDialect::OpenAi, &[&service], retrying(1)).await;
        let (status, told) = house.ask("/v1/chat/completions", &streaming()).await;
        assert_eq!(status, 503, "{told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{told}");
        // Where the service is nobody is told but those who look after the endpoint.
        assert!(!message.contains("127.0.0.1"), "{told}");
        assert!(house.gateway.troubles("m")[0].1.contains("127.0.0.1"));
    }
    // What went wrong later is told as the service said it, and nothing follows.
    for last in [r#"{"error":{"message":"out"}}"#, "{broken"] {
        let service = Service::plays(streams(&[FIRST, last, LAST, "[DONE]"], true), Then::Keep).await;
        let house = house(ServiceDialect::OpenAi, &[&service], retrying(1)).await;
        let events = house.events("/v1/chat/completions", &streaming()).await;
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[1].contains("\"error\""), "{events:?}");
        assert_eq!(house.newest("m").await["outcome"], "failed");
    }
    let service = Service::plays(says(200, "", "{}"), Then::Keep).await;
    let house = house(ServiceDialect::OpenAi, &[&service], retrying(1)).await;
    let (status, told) = house.ask("/v1/chat/completions", &chat(json!({}))).await;
    assert_eq!(
        (status, &told["error"]["code"]),
        (503, &json!("upstream_answer_invalid"))
    );
}

#[tokio::test]
async fn tensors_that_lead_back_here_are_found_out() {
    let house = House::new(GatewayConfig::default()).await;
    let mut here = route(
        "m",
        ServiceDialect::OpenInference,
        &[&Service::plays(whole(), Then::Keep).await],
        retrying(1),
    );
    for replica in &mut here.replicas {
        replica.way = RouteWay::Service(Arc::new(ServiceAddress {
            url: house.url.parse().unwrap(),
            model: "m".to_owned(),
            key: Some(HeaderValue::from_static("Bearer t")),
        }));
    }
    house.route_each(vec![here]);
    let asked = || house.gateway.stats()[0].requests_total;
    for path in ["/v2/models/m", "/v2/models/m/config"] {
        let (status, told) = house.get(path).await;
        assert!(
            status >= 400 && told.to_string().contains("passed on 4 times"),
            "{told}"
        );
    }
    let (status, told) = house.ask("/v2/models/m/infer", &json!({ "inputs": [] })).await;
    assert!(
        status >= 400 && told.to_string().contains("passed on 4 times"),
        "{told}"
    );
    assert!(asked() <= 8, "{}", asked());
}

#[tokio::test]
async fn who_is_held_to_tokens_bounds_what_a_service_answers() {
    let service = Service::plays(whole(), Then::Keep).await;
    let house = house(ServiceDialect::OpenAi, &[&service], Routing::default()).await;
    let url = format!("{}/api/v1/limits/tester", house.url);
    let limits = house
        .http
        .put(url)
        .bearer_auth("t")
        .json(&json!({ "tokens_per_minute": 1_000 }));
    assert_eq!(limits.send().await.unwrap().status(), 200);
    for unbounded in [
        json!({}),
        json!({ "max_tokens": -1 }),
        json!({ "max_tokens": 9, "n": "many" }),
    ] {
        let (status, told) = house.ask("/v1/chat/completions", &chat(unbounded)).await;
        assert_eq!(
            (status, &told["error"]["param"]),
            (400, &json!("max_tokens")),
            "{told}"
        );
    }
    assert_eq!(
        house
            .ask("/v1/chat/completions", &chat(json!({ "max_tokens": "9" })))
            .await
            .0,
        200
    );
    // Ten prompts may have ten answers.
    let body = json!({ "model": "m", "prompt": (["a"; 10]), "max_tokens": 200 });
    let (status, told) = house.ask("/v1/completions", &body).await;
    assert_eq!(
        (status, &told["error"]["code"]),
        (400, &json!("request_exceeds_limit")),
        "{told}"
    );
}

//! What an operator says of an endpoint's routing is done, and the record of a request tells it.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use corliss_gateway::GatewayConfig;
use corliss_policy_serving::Routing;
use corliss_types::Flavor;
use serde_json::{Value, json};
use support::{House, Peer, Script, chat, endpoint, eventually};

const CHAT: &str = "/v1/chat/completions";
const INFER: &str = "/v2/models/m/infer";

fn routing(value: Value) -> Routing {
    serde_json::from_value(value).unwrap()
}

async fn house(peers: &[Peer], settings: Value) -> House {
    let house = House::new(GatewayConfig::default()).await;
    house.route_each(vec![endpoint("m", Flavor::Gguf, peers, routing(settings))]);
    house
}

fn requests(peers: &[Peer]) -> Vec<usize> {
    peers.iter().map(Peer::requests).collect()
}

#[tokio::test]
async fn the_record_of_a_request_tells_where_it_went_and_why() {
    let peers = [Peer::new(1, Script::Say(vec!["a", "b"]))];
    let house = house(&peers, json!({"router": "least_tokens"})).await;
    let response = house.post(CHAT, &chat(json!({}))).send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.status(), 200);
    let record = house.newest("m").await;
    let told = |member: &str| record[member].clone();
    assert_eq!(told("id"), json!(id));
    assert_eq!(
        (told("caller"), told("outcome")),
        (json!("tester"), json!("answered"))
    );
    assert_eq!((told("replica"), told("version")), (json!(peers[0].id), json!(3)));
    assert_eq!(told("reason"), json!({"why": "fewest_tokens", "tokens": 0}));
    assert_eq!((told("attempts"), told("hedged")), (json!(1), json!(false)));
    assert_eq!(
        (
            told("prompt_tokens"),
            told("cached_tokens"),
            told("completion_tokens")
        ),
        (json!(5), json!(3), json!(2))
    );
    let micros = |member: &str| record[member].as_u64().unwrap();
    assert!(micros("first_us") <= micros("total_us"), "{record}");
    peers[0].says(Script::Refuse(400, "invalid_request"));
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 400);
    let record = house.newest("m").await;
    assert_eq!(
        (&record["outcome"], &record["error"]),
        (&json!("invalid"), &json!("invalid_request"))
    );
    for limit in ["0", "1001", "a", "-1"] {
        let (status, error) = house
            .get(&format!("/api/v1/endpoints/m/requests?limit={limit}"))
            .await;
        assert_eq!(
            (
                status,
                error["error"]["field"].as_str(),
                error["error"]["message"].as_str()
            ),
            (
                400,
                Some("limit"),
                Some("limit: must be a whole number from 1 to 1000, as limit=100")
            )
        );
    }
    for path in ["requests", "stats"] {
        let (status, error) = house.get(&format!("/api/v1/endpoints/n/{path}")).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (404, &json!("endpoint_not_found")),
            "as whoever asks after the endpoint itself is told"
        );
    }
    let (status, error) = house
        .ask("/endpoints/n/invocations", &json!({"inputs": [1]}))
        .await;
    assert_eq!(
        (status, &error["error_code"]),
        (404, &json!("RESOURCE_DOES_NOT_EXIST")),
        "in MLflow's own words"
    );
    let (status, stats) = house.get("/api/v1/endpoints/m/stats").await;
    assert_eq!((status, &stats["requests_total"]), (200, &json!(2)));
}

#[tokio::test]
async fn tokens_that_are_still_to_be_computed_are_weighed_and_not_requests() {
    let peers = [1, 2].map(|n| Peer::new(n, Script::SayAndHang(vec![])));
    let house = house(&peers, json!({"router": "least_tokens"})).await;
    let ask = |content: String| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": content}], "stream": true});
        house.post(CHAT, &body).send()
    };
    let mut open = vec![tokio::spawn(ask("long ".repeat(10_000)))];
    eventually("the long one is taken", || requests(&peers) == [1, 0]).await;
    for count in 1..=4 {
        open.push(tokio::spawn(ask("short".to_owned())));
        eventually("a short one is taken", || requests(&peers) == [1, count]).await;
    }
    for request in &open {
        request.abort();
    }
    eventually("all are withdrawn", || {
        house.gateway.stats()[0]
            .in_flight
            .iter()
            .all(|(_, count)| *count == 0)
    })
    .await;
    // What was charged is settled: the one that had the long prompt is not avoided for ever.
    for peer in &peers {
        peer.says(Script::Say(vec!["x"]));
    }
    for _ in 0..4 {
        assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    }
    assert_eq!(requests(&peers), [3, 6]);
}

#[tokio::test]
async fn a_chat_goes_on_where_it_began() {
    let peers = [1, 2, 3].map(|n| Peer::new(n, Script::Say(vec!["x"])));
    let house = house(&peers, json!({"router": "prefix_aware"})).await;
    let turn = |user: usize, turns: usize| {
        let message =
            |at: usize| json!({"role": "user", "content": format!("user {user} turn {at} ").repeat(60)});
        json!({"model": "m", "messages": (0..turns).map(message).collect::<Vec<_>>()})
    };
    // So many that luck does not send all of them to one: with eight it does once in two thousand times.
    for user in 0..16 {
        assert_eq!(house.ask(CHAT, &turn(user, 1)).await.0, 200);
        let first = house.newest("m").await;
        assert_eq!(first["reason"]["why"], "prefix_miss", "{first}");
        for turns in 2..5 {
            assert_eq!(house.ask(CHAT, &turn(user, turns)).await.0, 200);
            let next = house.newest("m").await;
            assert_eq!(
                (&next["reason"]["why"], &next["replica"]),
                (&json!("prefix_hit"), &first["replica"])
            );
        }
    }
    assert!(
        requests(&peers).iter().filter(|count| **count > 0).count() > 1,
        "{:?}",
        requests(&peers)
    );
}

#[tokio::test]
async fn a_session_stays_where_it_is() {
    let peers = [1, 2, 3].map(|n| Peer::new(n, Script::Say(vec!["x"])));
    let house = house(
        &peers,
        json!({"router": "session_affinity", "session_header": "X-Talk"}),
    )
    .await;
    let ask = async |session: usize| {
        let request = house
            .post(CHAT, &chat(json!({})))
            .header("x-talk", session.to_string());
        assert_eq!(request.send().await.unwrap().status(), 200);
        house.newest("m").await["replica"].clone()
    };
    let mut first = Vec::new();
    for session in 0..12 {
        first.push(ask(session).await);
    }
    for (session, replica) in first.iter().enumerate() {
        assert_eq!(ask(session).await, *replica);
    }
    assert!(
        requests(&peers).iter().all(|count| *count > 0),
        "{:?}",
        requests(&peers)
    );
}

#[tokio::test]
async fn rules_send_requests_to_a_version_or_another_endpoint() {
    let peers = [1, 2, 3].map(|n| Peer::new(n, Script::Say(vec!["x"])));
    let long = [Peer::new(4, Script::Say(vec!["long"]))];
    let house = House::new(GatewayConfig::default()).await;
    let rules = json!({"rules": [
        {"when": [{"header": {"name": "x-stage", "is": "beta"}}], "to": {"version": 4}},
        {"when": [{"prompt_tokens": {"at_least": 1000}}], "to": {"pool": "long"}},
        {"when": [{"tenant": ["tester"]}, {"header": {"name": "x-lost", "is": "yes"}}], "to": {"version": 9}},
        {"to": {"version": 3}},
    ]});
    house.route_each(vec![
        endpoint("long", Flavor::Gguf, &long, Routing::default()),
        endpoint("m", Flavor::Gguf, &peers, routing(rules)),
    ]);
    for _ in 0..4 {
        assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
        let beta = house.post(CHAT, &chat(json!({}))).header("x-stage", "beta");
        assert_eq!(beta.send().await.unwrap().status(), 200);
    }
    assert_eq!(requests(&peers), [2, 2, 4]);
    assert_eq!(house.newest("m").await["rule"], 0);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(1000)}]});
    let (status, answer) = house.ask(CHAT, &body).await;
    assert_eq!(
        (status, &answer["choices"][0]["message"]["content"]),
        (200, &json!("long"))
    );
    let record = house.newest("long").await;
    assert_eq!((&record["instead_of"], &record["rule"]), (&json!("m"), &json!(1)));
    let lost = house
        .post(CHAT, &chat(json!({})))
        .header("x-lost", "yes")
        .send()
        .await
        .unwrap();
    let (status, text) = (lost.status(), lost.text().await.unwrap());
    assert_eq!(status, 503);
    assert!(text.contains("no replica of version 9 takes requests"), "{text}");
}

#[tokio::test]
async fn a_slow_replica_is_given_up_or_asked_beside_another() {
    let peers = [
        Peer::new(1, Script::SayAndHang(vec![])),
        Peer::new(2, Script::Say(vec!["ok"])),
    ];
    let gives_up = house(
        &peers,
        json!({"router": "round_robin", "attempt_timeout_ms": 100}),
    )
    .await;
    assert_eq!(gives_up.ask(CHAT, &chat(json!({}))).await.0, 200);
    let record = gives_up.newest("m").await;
    assert_eq!(
        (&record["attempts"], &record["hedged"]),
        (&json!(2), &json!(false)),
        "{record}"
    );
    assert_eq!(gives_up.gateway.stats()[0].retries_total, 1);

    let peers = [
        Peer::new(1, Script::SayAndHang(vec![])),
        Peer::new(2, Script::Say(vec!["ok"])),
    ];
    let hedges = house(&peers, json!({"router": "round_robin", "hedge_after_ms": 50})).await;
    let begun = Instant::now();
    let (status, answer) = hedges.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(
        (status, &answer["choices"][0]["message"]["content"]),
        (200, &json!("ok"))
    );
    assert!(begun.elapsed() >= Duration::from_millis(50));
    eventually("the slow one is told to stop", || {
        peers[0].state.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    let record = hedges.newest("m").await;
    assert_eq!(
        (&record["attempts"], &record["hedged"]),
        (&json!(2), &json!(true)),
        "{record}"
    );
    assert_eq!(record["replica"], json!(peers[1].id));
    let stats = &hedges.gateway.stats()[0];
    assert_eq!(
        (stats.hedges_total, stats.retries_total, stats.requests_total),
        (1, 0, 1)
    );
    assert!(stats.in_flight.iter().all(|(_, count)| *count == 0));

    // All attempts together have a limit too, and a stream that has begun is not bound by it.
    let peers = [1, 2].map(|n| Peer::new(n, Script::SayAndHang(vec![])));
    let bounded = house(&peers, json!({"timeout_ms": 150, "attempt_timeout_ms": 100})).await;
    let (status, answer) = bounded.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (504, Some("inference_timed_out"))
    );
    assert_eq!(requests(&peers), [1, 1]);
}

#[tokio::test]
async fn when_everything_fails_further_attempts_are_a_share_of_the_requests() {
    let peers = [1, 2, 3].map(|n| Peer::new(n, Script::Refuse(429, "engine_queue_full")));
    let house = house(&peers, json!({"retry": {"attempts": 3, "budget_percent": 10}})).await;
    for _ in 0..200 {
        assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 429);
    }
    let (sent, retries) = (
        requests(&peers).iter().sum::<usize>(),
        house.gateway.stats()[0].retries_total,
    );
    assert_eq!(sent as u64, 200 + retries);
    // 20 of the share and 10 of the reserve, which refills while this goes on: ten a second.
    assert!((30..200).contains(&retries), "{retries}");

    let peers = [1, 2].map(|n| Peer::new(n, Script::Refuse(429, "engine_queue_full")));
    let never = self::house(&peers, json!({"retry": {"attempts": 1}})).await;
    assert_eq!(never.ask(CHAT, &chat(json!({}))).await.0, 429);
    assert_eq!(requests(&peers).iter().sum::<usize>(), 1);
}

#[tokio::test]
async fn an_endpoint_that_cannot_answer_is_stood_in_for() {
    let broken = [Peer::new(1, Script::Refuse(503, "engine_not_ready"))];
    let spare = [Peer::new(2, Script::Say(vec!["spare"]))];
    let house = House::new(GatewayConfig::default()).await;
    let falls_back = routing(json!({"fallback": ["gone", "empty", "tensors", "spare"]}));
    house.route_each(vec![
        endpoint("m", Flavor::Gguf, &broken, falls_back),
        endpoint("empty", Flavor::Gguf, &[], Routing::default()),
        endpoint("tensors", Flavor::Onnx, &spare, Routing::default()),
        endpoint("spare", Flavor::Gguf, &spare, Routing::default()),
    ]);
    for stream in [false, true] {
        let response = house
            .post(CHAT, &chat(json!({"stream": stream})))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().contains("spare"));
    }
    assert_eq!(house.newest("spare").await["instead_of"], "m");
    let stats = house.gateway.stats();
    let of = |name: &str| stats.iter().find(|stats| stats.name == name).unwrap().clone();
    assert_eq!((of("m").fallbacks_total, of("m").failed_total), (4, 2));
    assert_eq!((of("spare").requests_total, of("spare").failed_total), (2, 0));
    // A wrong request is wrong everywhere.
    broken[0].says(Script::Refuse(400, "invalid_request"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 400);
    assert_eq!(spare[0].requests(), 2);
}

#[tokio::test]
async fn an_endpoint_may_have_a_limit_of_its_own_and_tensors_are_routed_alike() {
    let peers = [Peer::new(1, Script::SayAndHang(vec!["x"]))];
    let limited = house(&peers, json!({"concurrent_max": 1})).await;
    let mut open = limited
        .post(CHAT, &chat(json!({"stream": true})))
        .send()
        .await
        .unwrap();
    open.chunk().await.unwrap().unwrap();
    let (status, answer) = limited.ask(CHAT, &chat(json!({}))).await;
    assert_eq!(status, 429);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("works on 1 requests"),
        "{answer}"
    );

    let peers = [1, 2, 3].map(|n| Peer::new(n, Script::Say(vec![])));
    let tensors = House::new(GatewayConfig::default()).await;
    let weighted = routing(json!({"router": "weighted", "weights": {"3": 1, "4": 8}}));
    tensors.route_each(vec![endpoint("m", Flavor::Onnx, &peers, weighted)]);
    for _ in 0..50 {
        assert_eq!(tensors.ask(INFER, &json!({"inputs": []})).await.0, 200);
    }
    assert_eq!(requests(&peers), [5, 5, 40]);
    assert_eq!(
        tensors
            .ask("/v2/models/m/versions/4/infer", &json!({"inputs": []}))
            .await
            .0,
        200
    );
    assert_eq!(requests(&peers), [5, 5, 41]);
    assert_eq!(
        tensors
            .ask("/v2/models/m/versions/5/infer", &json!({"inputs": []}))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn metrics_have_the_names_that_dashboards_know() {
    let peers = [1, 2].map(|n| Peer::new(n, Script::Say(vec!["a", "b"])));
    let house = House::new(GatewayConfig::default()).await;
    house.route_each(vec![
        endpoint("m", Flavor::Gguf, &peers, Routing::default()),
        endpoint("t", Flavor::Onnx, &peers[..1], Routing::default()),
    ]);
    for _ in 0..3 {
        assert_eq!(house.ask(CHAT, &chat(json!({}))).await.0, 200);
    }
    let url = format!("{}/metrics", house.url);
    let response = house.http.get(url).bearer_auth("t").send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = response.text().await.unwrap();
    let [first, second] = peers.each_ref().map(|peer| peer.id.to_string());
    for line in [
        "vllm:generation_tokens_total{model_name=\"m\"} 6".to_owned(),
        "vllm:prompt_tokens_total{model_name=\"m\"} 15".to_owned(),
        "vllm:request_success_total{model_name=\"m\",finished_reason=\"stop\"} 3".to_owned(),
        "vllm:request_generation_tokens_bucket{model_name=\"m\",le=\"1\"} 0".to_owned(),
        "vllm:request_generation_tokens_bucket{model_name=\"m\",le=\"2\"} 3".to_owned(),
        "vllm:time_to_first_token_seconds_count{model_name=\"m\"} 3".to_owned(),
        "vllm:e2e_request_latency_seconds_bucket{model_name=\"m\",le=\"+Inf\"} 3".to_owned(),
        format!("vllm:num_requests_waiting{{model_name=\"m\",engine=\"{first}\"}} 4"),
        format!("vllm:kv_cache_usage_perc{{model_name=\"m\",engine=\"{second}\"}} 0.25"),
        format!("vllm:prefix_cache_hits_total{{model_name=\"m\",engine=\"{second}\"}} 30"),
        format!(
            "vllm:inter_token_latency_seconds_bucket{{model_name=\"m\",engine=\"{first}\",le=\"0.001\"}} 2"
        ),
        format!(
            "vllm:inter_token_latency_seconds_bucket{{model_name=\"m\",engine=\"{first}\",le=\"0.005\"}} 3"
        ),
        format!("vllm:inter_token_latency_seconds_sum{{model_name=\"m\",engine=\"{first}\"}} 0.012"),
        format!("vllm:inter_token_latency_seconds_count{{model_name=\"m\",engine=\"{second}\"}} 3"),
        format!("nv_inference_request_success{{model=\"t\",version=\"3\",replica=\"{first}\"}} 1"),
        format!("nv_inference_count{{model=\"t\",version=\"3\",replica=\"{first}\"}} 3"),
    ] {
        assert!(text.lines().any(|said| said == line), "{line} in {text}");
    }
    assert_eq!(text.matches("# TYPE vllm:num_requests_running gauge").count(), 1);
    let (status, stats) = house.get("/api/v1/endpoints/m/stats").await;
    assert_eq!((status, &stats["requests_total"]), (200, &json!(3)));
    let engine = &stats["engines"][1];
    assert_eq!(
        (&engine["replica"], &engine["running"], &engine["sequences_max"]),
        (&json!(second), &json!(1), &json!(8))
    );
    assert_eq!(
        (
            &engine["batches_total"],
            &engine["batched_total"],
            &engine["kv_permille"]
        ),
        (&json!(5), &json!(11), &json!(250))
    );
    assert_eq!(engine["token_gap_buckets"][2], 1);
    assert_eq!(
        house.get("/api/v1/endpoints/t/stats").await.1["engines"],
        json!([])
    );
}

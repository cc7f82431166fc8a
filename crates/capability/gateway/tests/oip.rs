//! The Open Inference Protocol in front of peers that speak the engine protocol.

#![allow(clippy::unwrap_used)]

mod support;

use corliss_gateway::GatewayConfig;
use corliss_types::Flavor;
use serde_json::json;
use support::{House, Peer, Script};

#[tokio::test]
async fn a_tensor_request_passes_through_unchanged() {
    let peers = [Peer::new(1, Script::Say(vec![]))];
    let house = House::with(Flavor::Onnx, &peers).await;
    let body = json!({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.1, 2]}]});
    for path in ["/v2/models/m/infer", "/v2/models/m/versions/3/infer"] {
        let (status, answer) = house.ask(path, &body).await;
        assert_eq!((status, &answer["echo"]), (200, &body));
    }
    let (status, answer) = house.ask("/v2/models/m/versions/4/infer", &body).await;
    assert_eq!(
        (status, answer),
        (404, json!({"error": "endpoint 'm' does not serve version 4"}))
    );
    let (status, answer) = house.ask("/v2/models/gone/infer", &body).await;
    assert_eq!(status, 404);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("there is no endpoint 'gone'")
    );
}

#[tokio::test]
async fn tensors_behind_the_json_pass_through_unread_both_ways() {
    let peers = [Peer::new(1, Script::Say(vec![]))];
    let house = House::with(Flavor::Onnx, &peers).await;
    let body: Vec<u8> = [b"{}".as_slice(), &[0, 255, 13, 10]].concat();
    let send = async |name: &'static str, value: &'static str| {
        let request = house.post("/v2/models/m/infer", &json!({})).body(body.clone());
        request.header(name, value).send().await.unwrap()
    };
    let answer = send("Inference-Header-Content-Length", "2").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["inference-header-content-length"], "2");
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(answer.bytes().await.unwrap(), body);
    assert_eq!(send("Inference-Header-Content-Length", "two").await.status(), 400);
    assert_eq!(send("content-encoding", "gzip").await.status(), 415);
    assert_eq!(peers[0].requests(), 1);
}

#[tokio::test]
async fn statistics_are_those_of_all_replicas_together() {
    let peers = [1, 2].map(|n| Peer::new(n, Script::Say(vec![])));
    let house = House::with(Flavor::Onnx, &peers).await;
    let (status, all) = house.get("/v2/models/stats").await;
    assert_eq!(status, 200);
    let model = &all["model_stats"][0];
    assert_eq!((&model["name"], &model["version"]), (&json!("m"), &json!("3")));
    assert_eq!(
        (
            &model["inference_count"],
            &model["execution_count"],
            &model["last_inference"]
        ),
        (&json!(6), &json!(2), &json!(17))
    );
    assert_eq!(model["inference_stats"]["queue"], json!({"count": 2, "ns": 200}));
    assert_eq!(
        model["batch_stats"],
        json!([{"batch_size": 3, "compute_input": {"count": 2, "ns": 200},
            "compute_infer": {"count": 2, "ns": 200}, "compute_output": {"count": 2, "ns": 200}}])
    );
    assert_eq!(house.get("/v2/models/m/stats").await, (200, all.clone()));
    assert_eq!(house.get("/v2/models/m/versions/3/stats").await, (200, all));
    assert_eq!(house.get("/v2/models/m/versions/4/stats").await.0, 404);
    assert_eq!(house.get("/v2/models/gone/stats").await.0, 404);
    house.route(Flavor::Gguf, &peers);
    assert_eq!(
        house.get("/v2/models/stats").await,
        (200, json!({"model_stats": []}))
    );
    assert_eq!(house.get("/v2/models/m/stats").await.0, 400);
}

#[tokio::test]
async fn the_configuration_leaves_out_the_axis_of_batches() {
    let peers = [1, 2].map(|n| Peer::new(n, Script::Say(vec![])));
    let house = House::with(Flavor::Onnx, &peers).await;
    let (status, config) = house.get("/v2/models/m/config").await;
    assert_eq!(
        (status, config),
        (
            200,
            json!({
                "name": "m", "platform": "onnx_tract", "backend": "tract", "max_batch_size": 8,
                "version_policy": {"specific": {"versions": [3]}},
                "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [2]}],
                "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [1]}],
                "instance_group": [{"name": "m", "kind": "KIND_CPU", "count": 4}],
                "dynamic_batching": {"max_queue_delay_microseconds": 500},
            })
        )
    );
}

#[tokio::test]
async fn the_repository_lists_loads_and_unloads() {
    let house = House::with(Flavor::Onnx, &[]).await;
    let index = async |body: serde_json::Value| house.ask("/v2/repository/index", &body).await.1;
    assert_eq!(
        index(json!({})).await,
        json!([{"name": "m", "version": "3", "state": "UNAVAILABLE", "reason": "its replica is starting"}])
    );
    assert_eq!(index(json!({"ready": true})).await, json!([]));
    let peers = [Peer::new(1, Script::Say(vec![]))];
    house.route(Flavor::Onnx, &peers);
    assert_eq!(
        index(json!({"ready": true})).await,
        json!([{"name": "m", "version": "3", "state": "READY", "reason": ""}])
    );
    let change = async |path: &str, body: serde_json::Value| {
        house.ask(&format!("/v2/repository/models/{path}"), &body).await
    };
    assert_eq!(change("m/load", json!({})).await.0, 200);
    assert_eq!(
        change("broken/load", json!({})).await,
        (400, json!({"error": "the model is broken"}))
    );
    house.route(Flavor::Onnx, &[]);
    let dependents = json!({"parameters": {"unload_dependents": false}});
    assert_eq!(change("m/unload", dependents).await.0, 200);
    let asked = ["load m by tester", "load broken by tester", "unload m"];
    assert_eq!(*house.shelf.0.lock().unwrap(), asked);
    let (status, answer) = change("m/load", json!({"parameters": {"config": "{}"}})).await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("parameters.config"),
        "{answer}"
    );
}

#[tokio::test]
async fn extensions_are_listed_if_they_are_there() {
    let house = House::with(Flavor::Onnx, &[]).await;
    let extensions = &house.get("/v2").await.1["extensions"];
    assert!(
        extensions
            .as_array()
            .unwrap()
            .contains(&json!("binary_tensor_data"))
    );
    assert!(!extensions.to_string().contains("shared_memory"));
    let (status, answer) = house.get("/v2/systemsharedmemory/status").await;
    assert_eq!(status, 501);
    assert!(
        answer["error"].as_str().unwrap().contains("not supported"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_engine_s_refusal_keeps_its_status_and_sentence() {
    let peers = [Peer::new(1, Script::Refuse(400, "invalid_request"))];
    let house = House::with(Flavor::Onnx, &peers).await;
    let (status, answer) = house.ask("/v2/models/m/infer", &json!({})).await;
    assert_eq!(
        (status, answer),
        (400, json!({"error": "refused: invalid_request"}))
    );
    house.route(Flavor::Gguf, &peers);
    let (status, answer) = house.ask("/v2/models/m/infer", &json!({})).await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("/v1/chat/completions"),
        "{answer}"
    );
}

#[tokio::test]
async fn metadata_names_the_endpoint_and_its_version() {
    let peers = [Peer::new(1, Script::Say(vec![]))];
    let house = House::with(Flavor::Onnx, &peers).await;
    let (status, answer) = house.get("/v2/models/m").await;
    assert_eq!(
        (status, &answer["name"], &answer["versions"]),
        (200, &json!("m"), &json!(["3"]))
    );
    assert_eq!(
        answer["inputs"][0],
        json!({"name": "x", "datatype": "FP32", "shape": [-1, 2]})
    );
    assert_eq!(house.get("/v2").await.1["name"], "corliss");
}

#[tokio::test]
async fn readiness_is_the_server_s_and_the_model_s() {
    let house = House::new(GatewayConfig::default()).await;
    let open = async |path: &str| {
        reqwest::get(format!("{}{path}", house.url))
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(open("/v2/health/live").await, 200);
    assert_eq!(open("/v2/health/ready").await, 503);
    house.route(Flavor::Onnx, &[]);
    assert_eq!(open("/v2/health/ready").await, 200);
    assert_eq!(
        house.get("/v2/models/m/ready").await,
        (503, json!({"name": "m", "ready": false}))
    );
    let peers = [Peer::new(1, Script::Say(vec![]))];
    house.route(Flavor::Onnx, &peers);
    assert_eq!(
        house.get("/v2/models/m/ready").await,
        (200, json!({"name": "m", "ready": true}))
    );
    assert_eq!(house.get("/v2/models/m/versions/9/ready").await.0, 404);
    assert_eq!(open("/v2/models/m/ready").await, 401);
}

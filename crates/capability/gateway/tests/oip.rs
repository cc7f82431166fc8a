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
    let binary = house
        .post("/v2/models/m/infer", &body)
        .header("inference-header-content-length", "10");
    assert_eq!(binary.send().await.unwrap().status(), 400);
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

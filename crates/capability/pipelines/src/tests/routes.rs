//! The native routes.

use axum::body::Body;
use corliss_testkit::everyone;
use futures_util::StreamExt;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

async fn call(server: &Server, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let router = server
        .pipelines
        .routes()
        .into_app(everyone::is_admin("ada"))
        .unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1");
    request = request.header(header::AUTHORIZATION, "Bearer t");
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000_000)
        .await
        .unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn submission(world: &World, file: &str) -> Value {
    json!({
        "project_file": file,
        "file_name": "corliss.yaml",
        "source": world.source,
        "environment": {"PATH": "/usr/bin"},
    })
}

const FILE: &str = "project: p\nsteps:\n  a: {run: x, outputs: [o]}\n  b: {run: y, inputs: [o]}\n";

#[tokio::test]
async fn a_run_is_submitted_followed_and_listed() {
    let (server, world) = server().await;
    let (status, answer) = call(&server, "POST", "/api/v1/runs", Some(submission(&world, FILE))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let id = answer["id"].as_str().unwrap().to_owned();
    let router = server
        .pipelines
        .routes()
        .into_app(everyone::is_admin("ada"))
        .unwrap();
    let request = Request::builder()
        .uri(format!("/api/v1/runs/{id}/events"))
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, "Bearer t");
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    // The stream ends by itself once the run has.
    while let Some(chunk) = stream.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let last = text.trim_end().rsplit("event: run\ndata: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["state"], "succeeded");
    assert_eq!(last["steps"][1]["inputs"][0]["from"], "a");
    assert_eq!(last["steps_done"], 2);
    let (_, detail) = call(&server, "GET", &format!("/api/v1/runs/{id}"), None).await;
    assert_eq!(detail, last);
    assert_eq!(detail["submitted_by"], "ada");
    for _ in 0..3 {
        call(&server, "POST", "/api/v1/runs", Some(submission(&world, FILE))).await;
    }
    let (_, page) = call(&server, "GET", "/api/v1/runs?limit=3", None).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let token = page["next_page_token"].as_str().unwrap();
    let (_, page) = call(
        &server,
        "GET",
        &format!("/api/v1/runs?limit=3&page_token={token}"),
        None,
    )
    .await;
    assert_eq!(page["items"][0]["id"], id.as_str());
    assert!(page.get("next_page_token").is_none());
    let (_, none) = call(&server, "GET", "/api/v1/runs?state=failed", None).await;
    assert_eq!(none["items"], json!([]));
}

#[tokio::test]
async fn problems_stand_beside_the_error() {
    let (server, world) = server().await;
    let bad = "project: p\nsteps:\n  a: {rn: x}\n";
    let (status, answer) = call(&server, "POST", "/api/v1/runs", Some(submission(&world, bad))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error"]["code"], "project_file_invalid");
    assert_eq!(answer["error"]["message"], "the project file has 2 problems");
    let (status, checked) = call(
        &server,
        "POST",
        "/api/v1/runs/validate",
        Some(json!({"project_file": bad})),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["problems"], checked["problems"]);
    let unknown = &checked["problems"][1];
    assert_eq!((&unknown["line"], &unknown["column"]), (&json!(3), &json!(7)));
    assert_eq!(unknown["hint"], "did you mean 'run'?");
    let (status, fine) = call(
        &server,
        "POST",
        "/api/v1/runs/validate",
        Some(json!({"project_file": FILE})),
    )
    .await;
    assert_eq!((status, &fine["problems"]), (StatusCode::OK, &json!([])));
}

#[tokio::test]
async fn wrong_requests_get_typed_answers() {
    let (server, _world) = server().await;
    for path in [
        "/api/v1/runs/nonsense",
        "/api/v1/runs/run_00000000000000000000000000",
    ] {
        let (status, answer) = call(&server, "GET", path, None).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::NOT_FOUND, &json!("run_not_found"))
        );
    }
    let (status, answer) = call(&server, "GET", "/api/v1/runs?state=done", None).await;
    assert_eq!(
        (status, &answer["error"]["field"]),
        (StatusCode::BAD_REQUEST, &json!("state"))
    );
    let (status, _) = call(&server, "GET", "/api/v1/runs?page_token=x", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, schema) = call(&server, "GET", "/api/v1/schema/project-file", None).await;
    assert_eq!(
        (status, &schema["title"]),
        (StatusCode::OK, &json!("Corliss project file"))
    );
}

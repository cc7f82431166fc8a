//! Jobs over HTTP: shapes, errors and following a log.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use axum::body::Body;
use common::{Room, local, spec};
use corliss_jobs::{JobState, MIGRATIONS, http as api};
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

async fn call(room: &Room, method: &str, path: &str) -> (u16, String) {
    let router = api::routes(&room.jobs)
        .into_app(everyone::is_admin("test"))
        .unwrap();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("authorization", "Bearer t");
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn json(room: &Room, method: &str, path: &str) -> (u16, Value) {
    let (status, text) = call(room, method, path).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_seen_explained_followed_and_cancelled() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let room = Room::over(&store, &local(), root.path()).running();
    let script = "echo one; echo two >&2; while [ ! -e go ]; do sleep 0.05; done; echo three";
    let id = room.jobs.submit("k", spec(root.path(), script)).await.unwrap();
    room.until(&id, "it runs", |job| job.state == JobState::Running)
        .await;

    let (status, view) = json(&room, "GET", &format!("/api/v1/jobs/{id}")).await;
    assert_eq!(
        (status, view["state"].as_str(), view["kind"].as_str()),
        (200, Some("running"), Some("batch"))
    );
    assert!(view["tasks"][0]["pid"].as_i64().unwrap() > 1);
    assert_eq!(view["resources_per_worker"]["cpu_milli"], 1000);
    let (_, list) = json(&room, "GET", "/api/v1/jobs?state=running").await;
    assert_eq!(list["items"][0]["id"], view["id"]);
    let (_, why) = json(&room, "GET", &format!("/api/v1/jobs/{id}/why")).await;
    assert_eq!(why["summary"], "It runs and holds 1 CPU.");
    let (_, queue) = json(&room, "GET", "/api/v1/queue").await;
    assert_eq!(queue["inventory"]["free"]["cpu_milli"], 3000);
    assert_eq!(queue["running"][0]["id"], view["id"]);

    let path = format!("/api/v1/jobs/{id}/logs?follow=true");
    let following = call(&room, "GET", &path);
    std::fs::write(root.path().join("go"), "").unwrap();
    let (_, events) = following.await;
    let texts: Vec<&str> = ["\"one\"", "\"two\"", "\"three\""]
        .into_iter()
        .filter(|text| events.contains(text))
        .collect();
    assert_eq!(texts.len(), 3, "{events}");
    assert!(events.contains("event: end"));

    let (_, page) = json(
        &room,
        "GET",
        &format!("/api/v1/jobs/{id}/logs?stream=stdout&tail=1"),
    )
    .await;
    assert_eq!(page["lines"][0]["text"], "three");
    assert_eq!(room.ended(&id).await.state, JobState::Succeeded);
    let (_, page) = json(&room, "GET", &format!("/api/v1/jobs/{id}/logs")).await;
    assert_eq!(page["ended"], true);
    let (status, refused) = json(&room, "POST", &format!("/api/v1/jobs/{id}/cancel")).await;
    assert_eq!(
        (status, refused["error"]["code"].as_str()),
        (409, Some("job_ended"))
    );
    let (_, view) = json(&room, "GET", &format!("/api/v1/jobs/{id}")).await;
    assert_eq!(view["state"], "succeeded", "what has ended stays as it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let room = Room::over(&store, &local(), root.path());
    let id = room.jobs.submit("k", spec(root.path(), "exit 0")).await.unwrap();
    for (path, status, code) in [
        ("/api/v1/jobs/../../etc".to_owned(), 404, None),
        ("/api/v1/jobs/nonsense".to_owned(), 404, Some("job_not_found")),
        (
            "/api/v1/jobs/job_00000000000000000000000000".to_owned(),
            404,
            Some("job_not_found"),
        ),
        ("/api/v1/jobs?state=busy".to_owned(), 400, Some("query_invalid")),
        ("/api/v1/jobs?limit=0".to_owned(), 400, Some("limit_out_of_range")),
        (
            format!("/api/v1/jobs/{id}/logs?stream=stdin"),
            400,
            Some("query_invalid"),
        ),
        (
            format!("/api/v1/jobs/{id}/logs?rank=1"),
            404,
            Some("job_rank_not_found"),
        ),
    ] {
        let (got, body) = json(&room, "GET", &path).await;
        assert_eq!(got, status, "{path}: {body}");
        if let Some(code) = code {
            assert_eq!(body["error"]["code"], code, "{path}");
        }
    }
    let (_, page) = json(&room, "GET", &format!("/api/v1/jobs/{id}/logs")).await;
    assert_eq!(
        page,
        serde_json::json!({"lines": [], "next_offset": 0, "ended": false})
    );
}

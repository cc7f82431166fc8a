//! A service behind its routes, and a client that may do everything.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each suite uses a part of it; a failed unwrap here is a failed test"
)]

use std::sync::Arc;

use axum::body::Body;
use corliss_data::{DataService, routes, upkeep_routes};
use corliss_http::App;
use corliss_testkit::everyone;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::support::NothingElse;

/// The routes of a service, upkeep included.
pub fn router(service: &DataService) -> App {
    let upkeep = upkeep_routes(service.clone(), Arc::new(NothingElse), None);
    let all = routes(service.clone()).merge(upkeep);
    all.into_app(everyone::is_admin("ada")).unwrap()
}

/// The status, and the last line of the answer.
pub async fn call(router: &App, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/data/{path}"))
        .header("host", "127.0.0.1")
        .header("authorization", "Bearer x")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_default();
    let last = text.lines().last().unwrap_or("null");
    (status, serde_json::from_str(last).unwrap_or(Value::Null))
}

//! The path of a request through a router: who gets in, what is refused, and in which shape.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use corliss_diagnostics::Meaning;
use corliss_http::{ApiError, App, Asset, Assets, Caller, Dialect, Json, Path, Perimeter, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde::{Deserialize, Serialize};
use support::{TestGuard, ask};

const ADMIN: (&str, &str) = ("authorization", "Bearer admin");
const JSON: (&str, &str) = ("content-type", "application/json");

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

async fn echo(Json(note): Json<Note>) -> Json<Note> {
    Json(note)
}

async fn name(Caller(principal): Caller) -> String {
    principal.name
}

async fn item(Path(number): Path<u32>) -> String {
    number.to_string()
}

async fn missing() -> Result<String, ApiError> {
    Err(ApiError::new(
        Meaning::NotFound,
        "run_not_found",
        "there is no run 'r'",
    ))
}

async fn explode() -> String {
    panic!("planted")
}

async fn hang() -> String {
    std::future::pending().await
}

fn routes() -> Routes {
    let read = Access::Requires(Permission::RunsRead);
    let native = Dialect::Native;
    Routes::new()
        .route(
            Method::GET,
            "/healthz",
            Access::Public,
            native,
            get(async || "ok"),
        )
        .route(
            Method::POST,
            "/api/v1/sign-in",
            Access::Public,
            native,
            post(echo),
        )
        .route(
            Method::GET,
            "/api/v1/me",
            Access::Authenticated,
            native,
            get(name),
        )
        // A handler that answers more than it declares: only what it declares may be reached.
        .route(Method::GET, "/api/v1/notes", read, native, get(name).post(echo))
        .route(
            Method::PUT,
            "/api/v1/notes",
            Access::Requires(Permission::SystemAdmin),
            native,
            axum::routing::put(echo),
        )
        .body_limit(64)
        .route(Method::GET, "/api/v1/items/{number}", read, native, get(item))
        .route(Method::GET, "/api/v1/panic", read, native, get(explode))
        .route(Method::GET, "/api/v1/hang", read, native, get(hang))
        .timeout(Duration::from_millis(20))
        .route(
            Method::GET,
            "/api/2.0/mlflow/runs/get",
            read,
            Dialect::Mlflow,
            get(missing),
        )
        .route(Method::GET, "/v1/models", read, Dialect::OpenAi, get(missing))
        .route(
            Method::GET,
            "/v2/models/m",
            read,
            Dialect::OpenInference,
            get(missing),
        )
}

fn router() -> App {
    routes().into_app(TestGuard::new()).unwrap()
}

#[tokio::test]
async fn nothing_is_reached_without_its_access() {
    let router = router();
    let (answer, _) = ask(&router, "GET", "/healthz", &[], "").await;
    assert_eq!(answer.status(), 200);
    let (answer, body) = ask(&router, "GET", "/api/v1/me", &[], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (401, Some("credential_missing"))
    );
    assert!(answer.headers().contains_key("www-authenticate"));
    let (answer, body) = ask(
        &router,
        "GET",
        "/api/v1/me",
        &[("authorization", "Bearer nope")],
        "",
    )
    .await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (401, Some("credential_unknown"))
    );
    let (answer, _) = ask(&router, "GET", "/api/v1/me", &[ADMIN], "").await;
    assert_eq!(answer.status(), 200);
    let scientist = ("authorization", "Bearer scientist");
    let (answer, body) = ask(&router, "PUT", "/api/v1/notes", &[scientist, JSON], "{}").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (403, Some("permission_denied"))
    );
    assert_eq!(body["error"]["hint"], "held by: platform-admin");
    let (answer, _) = ask(
        &router,
        "GET",
        "/api/v1/me",
        &[("authorization", "Bearer throttled")],
        "",
    )
    .await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
}

#[tokio::test]
async fn a_method_that_was_not_declared_is_not_reached() {
    let (answer, body) = ask(
        &router(),
        "POST",
        "/api/v1/notes",
        &[ADMIN, JSON],
        r#"{"text": "x"}"#,
    )
    .await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (405, Some("method_not_allowed"))
    );
    assert_eq!(answer.headers()["allow"], "GET, PUT");
    let (answer, _) = ask(&router(), "HEAD", "/api/v1/notes", &[ADMIN], "").await;
    assert_eq!(answer.status(), 200);
    let (answer, _) = ask(&router(), "HEAD", "/api/v1/notes", &[], "").await;
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn errors_take_the_shape_of_their_route() {
    let router = router();
    let (answer, body) = ask(&router, "GET", "/api/2.0/mlflow/runs/get", &[ADMIN], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error_code"].as_str()),
        (404, Some("RESOURCE_DOES_NOT_EXIST"))
    );
    let (answer, body) = ask(&router, "GET", "/api/2.0/mlflow/nope", &[ADMIN], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error_code"].as_str()),
        (404, Some("ENDPOINT_NOT_FOUND"))
    );
    let (answer, body) = ask(&router, "GET", "/api/2.0/mlflow/runs/get", &[], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error_code"].as_str()),
        (401, Some("UNAUTHENTICATED"))
    );
    let (_, body) = ask(&router, "GET", "/v1/models", &[], "").await;
    assert_eq!(body["error"]["code"], "invalid_api_key");
    let (_, body) = ask(&router, "GET", "/v2/models/m", &[ADMIN], "").await;
    assert_eq!(body["error"], "there is no run 'r'");
    let (answer, body) = ask(&router, "GET", "/nope", &[], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (404, Some("route_not_found"))
    );
}

#[tokio::test]
async fn what_is_meant_for_another_tenant_is_answered_as_if_that_were_not_there() {
    let router = router();
    let runs = "/api/2.0/mlflow/runs/get";
    let workspace = |name| ("x-mlflow-workspace", name);
    for (path, headers, expected) in [
        // The handler's own answer: the request reached it.
        (runs, vec![ADMIN, workspace("default")], "there is no run 'r'"),
        (runs, vec![ADMIN, workspace(" ")], "there is no run 'r'"),
        (
            runs,
            vec![ADMIN, workspace("other")],
            "Workspace 'other' not found",
        ),
        (
            runs,
            vec![ADMIN, workspace("default"), workspace("other")],
            "Workspace 'other' not found",
        ),
        // Who is not known learns nothing of tenants.
        (runs, vec![workspace("other")], "credential"),
    ] {
        let (answer, body) = ask(&router, "GET", path, &headers, "").await;
        let message = body["message"].as_str().unwrap_or_default();
        assert!(message.contains(expected), "{headers:?}: {message}");
        let status = if expected == "credential" { 401 } else { 404 };
        assert_eq!(answer.status(), status, "{headers:?}");
    }
    // The header means nothing to other dialects.
    let headers = [ADMIN, workspace("other")];
    let (answer, _) = ask(&router, "GET", "/api/v1/me", &headers, "").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_panic_and_a_hang_are_answers_of_our_shape() {
    let (answer, body) = ask(&router(), "GET", "/api/v1/panic", &[ADMIN], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (500, Some("handler_panicked"))
    );
    let (answer, body) = ask(&router(), "GET", "/api/v1/hang", &[ADMIN], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (504, Some("request_timed_out"))
    );
}

#[tokio::test]
async fn bad_input_names_what_is_wrong() {
    let router = router();
    let put = async |body: String, kind: (&str, &str)| {
        let (answer, body) = ask(&router, "PUT", "/api/v1/notes", &[ADMIN, kind], &body).await;
        (answer.status().as_u16(), body["error"].clone())
    };
    let (status, error) = put(r#"{"text": 3}"#.to_owned(), JSON).await;
    assert_eq!((status, error["field"].as_str()), (400, Some("text")));
    let (status, error) = put(r#"{"tex": "a"}"#.to_owned(), JSON).await;
    assert_eq!(
        (status, error["hint"].as_str()),
        (400, Some("did you mean 'text'?"))
    );
    let (status, _) = put(r#"{"text": "a"}"#.to_owned(), ("content-type", "text/plain")).await;
    assert_eq!(status, 415);
    let (status, error) = put(format!(r#"{{"text": "{}"}}"#, "x".repeat(100)), JSON).await;
    assert_eq!((status, error["code"].as_str()), (413, Some("body_too_large")));
    let (answer, body) = ask(&router, "GET", "/api/v1/items/abc", &[ADMIN], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (400, Some("path_invalid"))
    );
}

#[tokio::test]
async fn a_session_works_only_from_our_own_pages() {
    let router = router();
    let session = ("cookie", "corliss_session=admin");
    let (host, console) = (("host", "127.0.0.1:7070"), ("x-corliss-console", "1"));
    let put = async |headers: &[(&str, &str)]| {
        let all: Vec<_> = [session, host, JSON].iter().chain(headers).copied().collect();
        let (answer, body) = ask(&router, "PUT", "/api/v1/notes", &all, r#"{"text": "a"}"#).await;
        (
            answer.status().as_u16(),
            body["error"]["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(put(&[console]).await.0, 200);
    assert_eq!(put(&[console, ("origin", "http://127.0.0.1:7070")]).await.0, 200);
    assert_eq!(put(&[]).await, (403, "console_header_missing".to_owned()));
    assert_eq!(
        put(&[console, ("origin", "http://evil.example")]).await,
        (403, "origin_refused".to_owned())
    );
    assert_eq!(
        put(&[console, ("origin", "http://127.0.0.1:9")]).await,
        (403, "origin_refused".to_owned())
    );
    assert_eq!(
        put(&[console, ("origin", "null")]).await,
        (403, "origin_refused".to_owned())
    );
    assert_eq!(
        put(&[console, ("sec-fetch-site", "cross-site")]).await,
        (403, "origin_refused".to_owned())
    );
    // Reading with a session needs no header, but no foreign page either; signing in needs our origin.
    let (answer, _) = ask(&router, "GET", "/api/v1/me", &[session, host], "").await;
    assert_eq!(answer.status(), 200);
    let evil = ("origin", "http://evil.example");
    let (answer, _) = ask(&router, "GET", "/api/v1/me", &[session, host, evil], "").await;
    assert_eq!(answer.status(), 403);
    let (answer, _) = ask(
        &router,
        "POST",
        "/api/v1/sign-in",
        &[host, JSON, evil],
        r#"{"text": "a"}"#,
    )
    .await;
    assert_eq!(answer.status(), 403);
    // A token proves intent wherever it comes from.
    let (answer, _) = ask(&router, "GET", "/api/v1/me", &[ADMIN, host, evil], "").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn other_host_names_are_not_answered() {
    let (answer, body) = ask(&router(), "GET", "/healthz", &[("host", "evil.example:7070")], "").await;
    assert_eq!(
        (answer.status().as_u16(), body["error"]["code"].as_str()),
        (421, Some("host_refused"))
    );
    let named = routes()
        .perimeter(Perimeter::with_hosts(["ml.example".to_owned()]))
        .into_app(TestGuard::new());
    let (answer, _) = ask(&named.unwrap(), "GET", "/healthz", &[("host", "ml.example")], "").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn every_answer_carries_an_id_and_protection() {
    let (answer, _) = ask(&router(), "GET", "/healthz", &[("x-request-id", "mine-1")], "").await;
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert!(
        answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );
    let (answer, _) = ask(&router(), "GET", "/nope", &[("x-request-id", "bad id")], "").await;
    assert!(
        answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
}

#[tokio::test]
async fn the_guard_is_told_of_denials_and_changes_only() {
    let guard = TestGuard::new();
    let router = routes().into_app(guard.clone()).unwrap();
    ask(&router, "GET", "/api/v1/me", &[ADMIN], "").await;
    ask(&router, "GET", "/api/v1/me", &[], "").await;
    ask(
        &router,
        "PUT",
        "/api/v1/notes?secret=1",
        &[ADMIN, JSON],
        r#"{"text": "a"}"#,
    )
    .await;
    let events = guard.events.lock().unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.route.as_str(), event.status.as_u16()))
        .collect();
    assert_eq!(told, [("/api/v1/me", 401), ("/api/v1/notes", 200)]);
    assert_eq!(events[1].target, "/api/v1/notes");
    assert_eq!(events[1].principal.as_ref().unwrap().name, "admin");
}

#[tokio::test]
async fn a_route_declared_twice_is_refused() {
    let again = Routes::new().route(
        Method::GET,
        "/healthz",
        Access::Public,
        Dialect::Native,
        get(async || "x"),
    );
    let error = routes().merge(again).into_app(TestGuard::new()).unwrap_err();
    assert_eq!(error.to_string(), "route GET /healthz is declared twice");
}

struct Files;

impl Assets for Files {
    fn get(&self, path: &str) -> Option<Asset> {
        let (text, kind) = match path {
            "index.html" => ("<html>", "text/html"),
            "assets/app-1a2b.js" => ("js", "text/javascript"),
            _ => return None,
        };
        Some(Asset {
            bytes: Cow::Borrowed(text.as_bytes()),
            content_type: kind.to_owned(),
            digest: "d1".to_owned(),
        })
    }
}

#[tokio::test]
async fn the_console_answers_what_no_program_asks_for() {
    let router = routes()
        .console(Arc::new(Files))
        .into_app(TestGuard::new())
        .unwrap();
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let (answer, _) = ask(&router, "GET", path, headers, "").await;
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        (
            answer.status().as_u16(),
            header("content-type"),
            header("cache-control"),
            header("content-security-policy"),
        )
    };
    let (status, kind, cache, policy) = get("/runs/run_1", &[]).await;
    assert_eq!(
        (status, kind.as_str(), cache.as_str()),
        (200, "text/html", "no-cache")
    );
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("sandbox"));
    let (status, _, cache, _) = get("/assets/app-1a2b.js", &[]).await;
    assert_eq!(
        (status, cache.as_str()),
        (200, "public, max-age=31536000, immutable")
    );
    assert_eq!(get("/", &[("if-none-match", "\"d1\"")]).await.0, 304);
    assert_eq!(get("/assets/gone.js", &[]).await.0, 404);
    assert_eq!(get("/api/v1/nope", &[]).await.0, 404);
    assert_eq!(get("/../etc/passwd", &[]).await.0, 200);
    let (answer, _) = ask(&router, "POST", "/runs/run_1", &[], "").await;
    assert_eq!(answer.status(), 404);
}

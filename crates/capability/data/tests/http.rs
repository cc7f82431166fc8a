//! The native routes, through the real router: upload, commit, read back, refuse.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use axum::body::Body;
use corliss_blobstore::{BlobId, BlobStore, Kind};
use corliss_clock::Sources;
use corliss_data::{DataService, Limits, MIGRATIONS, routes, transfer};
use corliss_http::App;
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use corliss_types::{Access, Permission};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn router() -> App {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let limits = Limits {
        blob_bytes: 1000,
        ..Limits::default()
    };
    let service = DataService::new(
        store,
        BlobStore::in_memory().await.unwrap(),
        Sources::system(),
        limits,
    );
    routes(service).into_app(everyone::is_admin("test")).unwrap()
}

async fn call(router: &App, method: Method, path: &str, body: Body) -> (StatusCode, Vec<u8>) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("authorization", "Bearer x")
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    (
        status,
        answer.into_body().collect().await.unwrap().to_bytes().to_vec(),
    )
}

async fn json(router: &App, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let (status, bytes) = call(router, method, path, Body::from(body.to_string())).await;
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn get(router: &App, path: &str) -> (StatusCode, Value) {
    json(router, Method::GET, path, Value::Null).await
}

#[tokio::test]
async fn every_route_demands_a_data_permission() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let service = DataService::new(
        store,
        BlobStore::in_memory().await.unwrap(),
        Sources::system(),
        Limits::default(),
    );
    for route in routes(service).table() {
        let wanted = match route.method {
            Method::GET => Permission::DataRead,
            Method::POST if route.path.ends_with("/read") || route.path.ends_with("/lay-out") => {
                Permission::DataRead
            }
            _ => Permission::DataWrite,
        };
        assert_eq!(
            route.access,
            Access::Requires(wanted),
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[tokio::test]
async fn a_folder_is_uploaded_and_read_back() {
    let router = router().await;
    let id = BlobId::of(b"hello").to_string();
    let (_, answer) = json(
        &router,
        Method::POST,
        "/api/v1/data/blobs/missing",
        json!({"ids": [id]}),
    )
    .await;
    assert_eq!(answer, json!({"missing": [id]}));
    let path = "/api/v1/data/blobs";
    for status in [StatusCode::CREATED, StatusCode::OK] {
        let (answered, stored) = call(&router, Method::POST, path, Body::from("hello")).await;
        assert_eq!(answered, status);
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(stored, json!({"id": id, "size_bytes": 5}));
    }
    let (_, answer) = json(
        &router,
        Method::POST,
        "/api/v1/data/blobs/missing",
        json!({"ids": [id]}),
    )
    .await;
    assert_eq!(answer, json!({"missing": []}));

    let edits = json!([
        {"path": "b/index.html", "blob": id, "executable": true},
        {"path": "a", "blob": id},
    ]);
    let path = "/api/v1/data/datasets/digits/commits";
    let body = json!({"edits": edits, "message": "first"});
    let (status, committed) = json(&router, Method::POST, path, body.clone()).await;
    assert_eq!(
        (status, &committed["created"]),
        (StatusCode::CREATED, &json!(true)),
        "{committed}"
    );
    let (status, again) = json(&router, Method::POST, path, body).await;
    assert_eq!((status, &again["created"]), (StatusCode::OK, &json!(false)));
    let version = committed["version"].as_str().unwrap();

    let (_, list) = get(&router, "/api/v1/data/datasets").await;
    assert_eq!(
        (&list["items"][0]["name"], &list["items"][0]["versions"]),
        (&json!("digits"), &json!(1))
    );
    let (_, detail) = get(&router, "/api/v1/data/datasets/digits").await;
    assert_eq!(detail["history"][0]["message"], "first");
    assert_eq!(detail["history"][0]["author"], "test");
    let (_, page) = get(&router, &format!("/api/v1/data/versions/{version}?limit=1")).await;
    assert_eq!(
        (&page["entries"][0]["path"], &page["next_page_token"]),
        (&json!("a"), &json!("a"))
    );
    assert_eq!((&page["files"], &page["names"]), (&json!(2), &json!(["digits"])));
    let (_, page) = get(
        &router,
        &format!("/api/v1/data/versions/{version}?limit=1&page_token=a"),
    )
    .await;
    assert_eq!(page["entries"][0]["path"], "b/index.html");
    assert_eq!(page.get("next_page_token"), None);
    let file = format!("/api/v1/data/versions/{version}/files/b/index.html");
    let (status, bytes) = call(&router, Method::GET, &file, Body::empty()).await;
    assert_eq!((status, bytes.as_slice()), (StatusCode::OK, &b"hello"[..]));
    let (_, graph) = get(
        &router,
        &format!("/api/v1/lineage?node=version:{version}&direction=up"),
    )
    .await;
    assert_eq!(graph["nodes"][0]["kind"], "version");
}

#[tokio::test]
async fn pieces_are_stored_read_back_and_never_believed() {
    let router = router().await;
    let pieces = "/api/v1/data/pieces";
    let mut body = Vec::new();
    transfer::append(Kind::Chunk, b"one", &mut body);
    transfer::append(Kind::Chunk, b"two", &mut body);
    let (status, answer) = call(&router, Method::POST, pieces, Body::from(body.clone())).await;
    assert_eq!(
        (status, answer.as_slice()),
        (StatusCode::OK, &br#"{"stored":2}"#[..])
    );
    let (_, again) = call(&router, Method::POST, pieces, Body::from(body.clone())).await;
    assert_eq!(again, br#"{"stored":0}"#);
    let ids = json!({"ids": [BlobId::of(b"one"), BlobId::of(b"two")]});
    let path = "/api/v1/data/pieces/read";
    let (status, read) = call(&router, Method::POST, path, Body::from(ids.to_string())).await;
    assert_eq!((status, read), (StatusCode::OK, body.clone()));
    let absent = json!({"ids": [BlobId::of(b"absent")]});
    let (status, _) = json(&router, Method::POST, path, absent).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for (bad, code) in [
        (body[..6].to_vec(), "data_transfer_cut_short"),
        (vec![1, 0, 0, 0, 0], "blob_bad_piece"),
    ] {
        let (status, answer) = call(&router, Method::POST, pieces, Body::from(bad)).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(code))
        );
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_reason() {
    let router = router().await;
    let id = BlobId::of(b"hello").to_string();
    let path = "/api/v1/data/datasets/digits/commits";
    let entry = |path: &str| json!({"path": path, "blob": id});
    let (status, answer) = json(&router, Method::POST, path, json!({"edits": [entry("a")]})).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::CONFLICT, &json!("data_blob_missing"))
    );
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("'a'"),
        "{answer}"
    );
    let blobs = "/api/v1/data/blobs";
    let large = Body::from("x".repeat(1001));
    assert_eq!(
        call(&router, Method::POST, blobs, large).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        call(&router, Method::POST, blobs, Body::from("hello")).await.0,
        StatusCode::CREATED
    );
    for bad in ["../../etc/passwd", "/etc/passwd", "a/../b", "", "a//b", "a\u{0}"] {
        let (status, answer) = json(&router, Method::POST, path, json!({"edits": [entry(bad)]})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad:?} {answer}");
    }
    let (status, answer) = json(
        &router,
        Method::POST,
        path,
        json!({"edits": [entry("a"), entry("a")]}),
    )
    .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("data_path_duplicate"))
    );
    let (status, _) = json(
        &router,
        Method::POST,
        path,
        json!({"edits": [entry("a"), entry("a/b")]}),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for neither in [
        json!({}),
        json!({"edits": [], "version": format!("v_{}", "0".repeat(64))}),
    ] {
        let (status, answer) = json(&router, Method::POST, path, neither).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("data_version_or_edits"))
        );
    }
    let absent = format!("v_{}", "0".repeat(64));
    for missing in [
        "/api/v1/data/datasets/none".to_owned(),
        format!("/api/v1/data/versions/{absent}"),
        format!("/api/v1/data/versions/{absent}/files/a"),
    ] {
        assert_eq!(get(&router, &missing).await.0, StatusCode::NOT_FOUND, "{missing}");
    }
    let (status, answer) = get(&router, "/api/v1/lineage?node=planet:earth").await;
    assert_eq!(
        (status, &answer["error"]["field"]),
        (StatusCode::BAD_REQUEST, &json!("node"))
    );
}

#[tokio::test]
async fn branches_are_worked_on_and_merged() {
    let router = router().await;
    let blob = |text: &str| BlobId::of(text.as_bytes()).to_string();
    for text in ["one", "two"] {
        call(&router, Method::POST, "/api/v1/data/blobs", Body::from(text)).await;
    }
    let dataset = "/api/v1/data/datasets/digits";
    let post = async |path: &str, body: Value| json(&router, Method::POST, path, body).await;
    let commits = format!("{dataset}/commits");
    let edit = |path: &str, text: &str| json!([{"path": path, "blob": blob(text)}]);
    let (_, first) = post(&commits, json!({"edits": edit("a", "one")})).await;
    let (status, made) = post(&format!("{dataset}/branches"), json!({"name": "fix/1"})).await;
    assert_eq!((status, &made["commit"]), (StatusCode::CREATED, &first["commit"]));
    let (status, _) = post(&format!("{dataset}/tags"), json!({"name": "v1", "at": "fix/1"})).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, side) = post(
        &commits,
        json!({"edits": edit("b", "two"), "branch": "fix/1", "expected": first["commit"]}),
    )
    .await;
    assert_eq!(side["branch"], "fix/1", "{side}");
    let (_, resolved) = get(&router, "/api/v1/data/resolve?reference=digits@fix/1").await;
    assert_eq!(
        (&resolved["version"], &resolved["commit"], &resolved["branch"]),
        (&side["version"], &side["commit"], &json!("fix/1"))
    );
    let (_, diff) = get(&router, "/api/v1/data/diff?from=digits&to=digits@fix/1").await;
    assert_eq!(
        (&diff["summary"]["added"], &diff["items"][0]["path"]),
        (&json!(1), &json!("b"))
    );
    let one = format!("{dataset}/branches/fix%2F1");
    let (status, protected) = json(&router, Method::PATCH, &one, json!({"protected": true})).await;
    assert_eq!((status, &protected["protected"]), (StatusCode::OK, &json!(true)));
    let (status, merged) = post(
        &format!("{dataset}/merge"),
        json!({"from": "fix/1", "always_commit": true}),
    )
    .await;
    assert_eq!(
        (status, &merged["fast_forward"]),
        (StatusCode::OK, &json!(false)),
        "{merged}"
    );
    let (_, log) = get(&router, "/api/v1/data/log?reference=digits&limit=2").await;
    assert_eq!(log["items"][0]["message"], "Merge fix/1");
    let token = log["next_page_token"].as_str().unwrap();
    let (_, rest) = get(
        &router,
        &format!("/api/v1/data/log?reference=digits&limit=2&page_token={token}"),
    )
    .await;
    assert_eq!(rest["items"][0]["commit"], first["commit"]);
    let (status, refused) = json(&router, Method::DELETE, &one, Value::Null).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (StatusCode::CONFLICT, &json!("data_branch_protected"))
    );
    json(&router, Method::PATCH, &one, json!({"protected": false})).await;
    let (status, _) = json(&router, Method::DELETE, &one, Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let (_, tags) = get(&router, &format!("{dataset}/tags")).await;
    assert_eq!(tags["items"][0]["name"], "v1");
    let version = merged["version"].as_str().unwrap();
    let (_, folder) = get(&router, &format!("/api/v1/data/versions/{version}/folder")).await;
    assert_eq!(folder["items"].as_array().unwrap().len(), 2);
    let (status, _) = json(&router, Method::DELETE, dataset, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(get(&router, dataset).await.0, StatusCode::NOT_FOUND);
}

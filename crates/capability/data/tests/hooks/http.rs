//! The routes of hooks, through the real router, and what is kept of a secret.

use axum::body::Body;
use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_data::{DataService, Limits, MIGRATIONS, hook_routes, routes};
use corliss_http::App;
use corliss_metastore::{Metastore, StoreError, params};
use corliss_testkit::everyone;
use corliss_types::{Access, Permission};
use corliss_webhook::Secret;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::receiver::Receiver;
use crate::support::commit;
use crate::{client, deliver};

const HOOKS: &str = "/api/v1/data/datasets/images/hooks";

struct Server {
    router: App,
    service: DataService,
    store: Metastore,
}

async fn server() -> Server {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let blobs = BlobStore::in_memory().await.unwrap();
    let service = DataService::new(store.clone(), blobs, Sources::system(), Limits::default());
    let service = service.with_webhooks(client());
    let all = routes(service.clone()).merge(hook_routes(&service));
    let router = all.into_app(everyone::is_admin("root")).unwrap();
    commit(&service, "images", &[("a", "0")], "").await;
    Server {
        router,
        service,
        store,
    }
}

impl Server {
    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("authorization", "Bearer x")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn make(&self, body: Value) -> (u16, Value) {
        self.ask(Method::POST, HOOKS, body).await
    }
}

#[tokio::test]
async fn hooks_are_for_administrators() {
    let server = server().await;
    let table = hook_routes(&server.service).table();
    assert_eq!(table.len(), 7);
    for route in table {
        assert_eq!(
            route.access,
            Access::Requires(Permission::SystemAdmin),
            "{}",
            route.path
        );
    }
}

#[tokio::test]
async fn a_hook_is_made_changed_tested_and_removed() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let (status, made) = server.make(json!({"url": receiver.url()})).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["events"], json!(["commit", "merge"]));
    assert_eq!((&made["when"], &made["enabled"]), (&json!("after"), &json!(true)));
    assert_eq!(
        (&made["created_by"], &made["timeout_ms"]),
        (&json!("root"), &json!(10_000))
    );
    let secret = made["secret"].as_str().unwrap().to_owned();
    let one = format!("{HOOKS}/{}", made["id"].as_str().unwrap());

    let (_, shown) = server.ask(Method::GET, &one, Value::Null).await;
    assert!(shown.get("secret").is_none(), "a secret is shown once");
    let (_, all) = server.ask(Method::GET, HOOKS, Value::Null).await;
    assert_eq!(all["items"], json!([shown]));

    let (status, tested) = server
        .ask(Method::POST, &format!("{one}/test"), Value::Null)
        .await;
    assert_eq!(
        (status, &tested["accepted"], &tested["status"]),
        (200, &json!(true), &json!(200))
    );
    let seen = receiver.take();
    assert_eq!((seen.len(), seen[0].kind()), (1, "dataset.test"));
    assert!(seen[0].is_signed_with(&secret));
    receiver.says(&[(500, "broken")]);
    let (status, tested) = server
        .ask(Method::POST, &format!("{one}/test"), Value::Null)
        .await;
    assert_eq!((status, &tested["accepted"]), (200, &json!(false)));
    assert_eq!(tested["outcome"], json!("it answered 500: broken"));

    let change = json!({"events": ["merge", "commit", "merge"], "branches": ["main"], "timeout_ms": 2000});
    let (_, changed) = server.ask(Method::PATCH, &one, change).await;
    assert_eq!(changed["events"], json!(["commit", "merge"]));
    assert_eq!(
        (&changed["branches"], &changed["timeout_ms"]),
        (&json!(["main"]), &json!(2000))
    );
    assert!(changed.get("secret").is_none());
    receiver.take();
    for text in ["1", "2", "3"] {
        commit(&server.service, "images", &[("a", text)], "").await;
    }
    deliver(&server.service).await;
    let (_, page) = server
        .ask(Method::GET, &format!("{one}/deliveries?limit=2"), Value::Null)
        .await;
    let token = page["next_page_token"].as_str().unwrap();
    assert_eq!(page["items"][0]["state"], json!("delivered"));
    let path = format!("{one}/deliveries?limit=2&page_token={token}");
    let (_, rest) = server.ask(Method::GET, &path, Value::Null).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["items"][0]["id"], json!(receiver.seen()[0].id));

    assert_eq!(server.ask(Method::DELETE, &one, Value::Null).await.0, 204);
    for (method, path) in [
        (Method::GET, one.clone()),
        (Method::DELETE, one.clone()),
        (Method::POST, format!("{one}/test")),
        (Method::GET, format!("{one}/deliveries")),
    ] {
        let (status, error) = server.ask(method, &path, Value::Null).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (404, &json!("data_hook_not_found"))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_a_hook_is_refused_with_its_field() {
    let server = server().await;
    let url = "https://example.org/hook";
    for (body, field) in [
        (json!({"url": "ftp://example.org"}), "url"),
        (json!({"url": "http://ada:hunter2@example.org"}), "url"),
        (json!({"url": "http://10.0.0.1/"}), "url"),
        (json!({"url": "http://[::ffff:10.0.0.1]/"}), "url"),
        (json!({"url": "http://169.254.169.254/latest"}), "url"),
        (json!({"url": url, "secret": "hunter2"}), "secret"),
        (json!({"url": url, "events": []}), "events"),
        (json!({"url": url, "events": ["push"]}), "events[0]"),
        (json!({"url": url, "branches": ["a b"]}), "branches[0]"),
        (json!({"url": url, "timeout_ms": 999}), "timeout_ms"),
        (json!({"url": url, "timeout_ms": 30_001}), "timeout_ms"),
        (json!({"url": url, "evnts": []}), "evnts"),
    ] {
        let (status, error) = server.make(body.clone()).await;
        assert_eq!(status, 400, "{body} {error}");
        assert_eq!(error["error"]["field"], json!(field), "{body} {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let path = "/api/v1/data/datasets/nothing/hooks";
    assert_eq!(server.ask(Method::POST, path, json!({"url": url})).await.0, 404);
    for _ in 0..20 {
        assert_eq!(server.make(json!({"url": url})).await.0, 201);
    }
    let (status, error) = server.make(json!({"url": url})).await;
    assert_eq!((status, &error["error"]["code"]), (413, &json!("data_too_many")));
}

#[tokio::test]
async fn a_secret_is_not_kept_in_the_clear() {
    let server = server().await;
    let given = Secret::generate().unwrap();
    let url = "https://example.org/";
    let (_, made) = server.make(json!({"url": url, "secret": given.expose()})).await;
    assert_eq!(made["secret"], json!(given.expose()));
    let kept = server.store.read(|tx| {
        let row = tx.query_one("SELECT secret FROM data_hook", params![])?;
        row.blob("secret")
    });
    let kept: Vec<u8> = kept.await.map_err(|error: StoreError| error).unwrap();
    assert!(
        !kept
            .windows(8)
            .any(|part| given.key().windows(8).any(|key| key == part))
    );
}

#[tokio::test]
async fn names_that_a_push_moves_are_told_and_asked_about() {
    let (server, told, asked) = (server().await, Receiver::start().await, Receiver::start().await);
    let events = json!(["branch.created", "branch.moved", "tag.created", "tag.moved"]);
    server.make(json!({"url": told.url(), "events": events})).await;
    server
        .make(json!({"url": asked.url(), "events": events, "when": "before"}))
        .await;
    let first = commit(&server.service, "images", &[("a", "1")], "")
        .await
        .commit
        .unwrap();
    let second = commit(&server.service, "images", &[("a", "2")], "the second")
        .await
        .commit
        .unwrap();
    let refs = "/api/v1/data/datasets/images/refs";
    let change = |kind: &str, name: &str, old: Value, new: &str| json!({"kind": kind, "name": name, "old": old, "new": new});
    let push = |changes: Value| {
        let body = json!({"default_branch": "main", "changes": changes, "force": true});
        server.ask(Method::POST, refs, body)
    };
    let (one, two) = (first.as_str(), second.as_str());
    let changes = json!([
        change("branch", "side", Value::Null, one),
        change("tag", "v1", Value::Null, one)
    ]);
    asked.says(&[(200, ""), (400, "no tags")]);
    let (status, error) = push(changes.clone()).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (409, &json!("data_hook_refused"))
    );
    deliver(&server.service).await;
    assert_eq!((asked.take().len(), told.take().len()), (2, 0));
    assert_eq!(push(changes).await.0, 200);
    let changes = json!([
        change("branch", "side", json!(one), two),
        change("tag", "v1", json!(one), two),
        change("branch", "main", json!(two), two),
    ]);
    assert_eq!(push(changes).await.0, 200);
    deliver(&server.service).await;
    let kinds = |receiver: &Receiver| -> Vec<String> {
        receiver.seen().iter().map(|one| one.kind().to_owned()).collect()
    };
    let expected = [
        "dataset.branch.created",
        "dataset.tag.created",
        "dataset.branch.moved",
        "dataset.tag.moved",
    ];
    assert_eq!(
        (kinds(&told), kinds(&asked)),
        (
            expected.map(str::to_owned).into(),
            expected.map(str::to_owned).into()
        )
    );
    let moved = &told.seen()[2];
    assert_eq!(
        (moved.data("action"), moved.data("by")),
        (&json!("push"), &json!("root"))
    );
    assert_eq!(
        (moved.data("author"), moved.data("message")),
        (&json!("ada"), &json!("the second"))
    );
    assert_eq!(
        (moved.data("old_commit"), moved.data("new_commit")),
        (&json!(one), &json!(two))
    );
}

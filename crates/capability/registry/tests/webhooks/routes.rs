//! The routes of webhooks: secrets are never answered, addresses of this machine are refused, a test sends at once.

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_registry::{MIGRATIONS, http};
use corliss_types::{Access, Permission};
use corliss_webhook::Reach;
use serde_json::{Value, json};

use crate::receiver::{Does, Receiver};
use crate::support::{self, call};

const HOOKS: &str = "/api/2.0/mlflow/webhooks";

async fn router(reach: Reach) -> corliss_http::App {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let (registry, _) = support::registry_with(store, Sources::system(), reach);
    support::router(http::routes(registry))
}

fn new(url: &str) -> Value {
    json!({
        "name": "hook", "url": url, "secret": "hunter2",
        "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}],
    })
}

#[tokio::test]
async fn a_test_sends_an_example_and_answers_what_came_back() {
    let router = router(Reach::with(["127.0.0.1"]).unwrap()).await;
    let receiver = Receiver::start().await;
    let (status, made) = call(&router, "POST", HOOKS, Some(new(&receiver.url()))).await;
    assert_eq!(status, 200, "{made}");
    assert!(!made.to_string().contains("hunter2"));
    let id = made["webhook"]["webhook_id"].as_str().unwrap();
    let test = format!("{HOOKS}/{id}/test");
    let (_, tested) = call(&router, "POST", &test, Some(json!({}))).await;
    assert_eq!(
        tested["result"],
        json!({"success": true, "response_status": 200, "response_body": "said"})
    );
    assert_eq!(receiver.seen()[0].event(), "model_version_alias.created");
    assert_eq!(
        receiver.seen()[0].body["data"],
        json!({"name": "example_model", "alias": "example_alias", "version": "1"})
    );
    receiver.does(&[Does::Says(418), Does::Redirects, Does::Closes]);
    let event = json!({"event": {"entity": "PROMPT_VERSION", "action": "CREATED"}});
    for expected in [json!(418), json!(302), Value::Null] {
        let (status, tested) = call(&router, "POST", &test, Some(event.clone())).await;
        let result = &tested["result"];
        assert_eq!(
            (status, &result["success"], &result["response_status"]),
            (200, &json!(false), &expected)
        );
        assert_eq!(result["error_message"].is_null(), !expected.is_null());
    }
    assert_eq!(receiver.seen()[1].body["data"]["template"], "Hello {{name}}!");
    // Also one that is off.
    let off = json!({"status": "DISABLED"});
    assert_eq!(
        call(&router, "PATCH", &format!("{HOOKS}/{id}"), Some(off))
            .await
            .0,
        200
    );
    assert_eq!(
        call(&router, "POST", &test, Some(json!({}))).await.1["result"]["success"],
        json!(true)
    );
    for path in [HOOKS.to_owned(), format!("{HOOKS}/{id}")] {
        let (_, shown) = call(&router, "GET", &path, None).await;
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn addresses_of_this_machine_and_of_private_networks_are_refused() {
    let router = router(Reach::default()).await;
    for url in [
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "http://example.org/x",
        "https://ada:hunter2@example.org/x",
        "https://example.org/x#y",
        "file:///etc/passwd",
        "",
    ] {
        let (status, refused) = call(&router, "POST", HOOKS, Some(new(url))).await;
        assert_eq!(
            (status, refused["error_code"].as_str()),
            (400, Some("INVALID_PARAMETER_VALUE")),
            "{url}"
        );
        assert!(!refused.to_string().contains("hunter2:"));
    }
    // A name is judged when it is connected to.
    let (status, made) = call(&router, "POST", HOOKS, Some(new("https://localhost:1/x"))).await;
    assert_eq!(status, 200, "{made}");
    let id = made["webhook"]["webhook_id"].as_str().unwrap();
    let (_, tested) = call(&router, "POST", &format!("{HOOKS}/{id}/test"), Some(json!({}))).await;
    let failure = tested["result"]["error_message"].as_str().unwrap();
    assert!(failure.contains("private network"), "{failure}");
}

#[tokio::test]
async fn there_are_so_many_and_no_more() {
    let router = router(Reach::default()).await;
    for number in 0..=100 {
        let (status, answer) = call(&router, "POST", HOOKS, Some(new("https://example.org/x"))).await;
        let expected = if number < 100 { 200 } else { 409 };
        assert_eq!(status, expected, "{number} {answer}");
    }
    let (_, page) = call(&router, "GET", HOOKS, None).await;
    assert_eq!(page["webhooks"].as_array().unwrap().len(), 100);
    assert_eq!(page.get("next_page_token"), None);
}

#[tokio::test]
async fn only_administrators_see_and_change_webhooks() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let (registry, _) = support::registry_on(store);
    let table = http::routes(registry).table();
    let hooks: Vec<_> = table
        .iter()
        .filter(|route| route.path.contains("/webhooks"))
        .collect();
    assert_eq!(hooks.len(), 12);
    for route in hooks {
        assert_eq!(
            route.access,
            Access::Requires(Permission::SystemAdmin),
            "{}",
            route.path
        );
    }
}

#[tokio::test]
async fn a_file_of_a_version_is_an_attachment() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let (registry, _) = support::registry_on(store);
    registry.register(support::version_of('1')).await.unwrap();
    let router = support::router(http::routes(registry));
    let path = "/model-versions/get-artifact?name=digits&version=1&path=";
    let answer = support::answer(&router, "GET", &format!("{path}MLmodel"), None).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        header("content-disposition"),
        "attachment; filename*=UTF-8''MLmodel"
    );
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-type"), "application/octet-stream");
    for (bad, status) in [("no-file", 404), ("..%2F..%2Fetc%2Fpasswd", 404), ("", 400)] {
        let (found, _) = call(&router, "GET", &format!("{path}{bad}"), None).await;
        assert_eq!(found, status, "{bad}");
    }
    let (found, _) = call(
        &router,
        "GET",
        "/model-versions/get-artifact?name=digits&version=9&path=a",
        None,
    )
    .await;
    assert_eq!(found, 404);
}

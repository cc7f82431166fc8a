//! What webhooks are told: every event with MLflow's words, signed, in order, and nothing else.

use corliss_registry::{
    Expected, KeyValue, MIGRATIONS, NewForeign, RegistryError, WebhookChange, WebhookEvent,
};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{DurationMs, Timestamp};
use corliss_webhook::Secret;
use serde_json::{Value, json};

use crate::receiver::{Receiver, Seen};
use crate::support::{RUN, foreign, version_of};
use crate::{NOW_MS, deliver, in_memory, model, registry, webhook};

fn tag(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
    }
}

fn prompt(name: &str) -> NewForeign {
    NewForeign {
        tags: vec![
            tag("mlflow.prompt.is_prompt", "true"),
            tag("mlflow.prompt.text", "Hello {{name}}"),
            tag("_mlflow_prompt_type", "text"),
            tag("by", "ada"),
        ],
        ..foreign(name, "dummy-source")
    }
}

/// The signature itself is held to the specification's vector where it is made, and to Python's in the end-to-end tests.
fn is_signed_with(seen: &Seen, secret: &[u8]) -> bool {
    let seconds: i64 = seen.header("X-MLflow-Timestamp").unwrap().parse().unwrap();
    let at = Timestamp::from_millis(seconds * 1000);
    let signature = Secret::from_key(secret).sign(seen.id(), at, seen.text.as_bytes());
    seen.header("X-MLflow-Signature") == Some(&signature)
}

#[tokio::test]
async fn every_event_is_told_once_in_order_and_in_mlflows_words() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, clock) = registry(store);
        let receiver = Receiver::start().await;
        webhook(&registry, receiver.url(), &WebhookEvent::ALL).await;
        let source = format!("runs:/{RUN}/model");
        registry
            .create_model("net".into(), "a net".into(), vec![tag("team", "a")])
            .await
            .unwrap();
        registry.register_foreign(foreign("net", &source)).await.unwrap();
        registry.set_model_tag("net".into(), tag("untold", "")).await.unwrap();
        registry.set_version_tag("net".into(), 1, tag("k", "v")).await.unwrap();
        for _ in 0..2 {
            registry.delete_version_tag("net".into(), 1, "k".into()).await.unwrap();
        }
        registry.set_alias("net".into(), "live".into(), 1, Expected::Any).await.unwrap();
        for _ in 0..2 {
            registry.delete_alias("net".into(), "live".into()).await.unwrap();
        }
        let marks = vec![tag("mlflow.prompt.is_prompt", "true"), tag("lang", "en")];
        registry.create_model("ask".into(), String::new(), marks).await.unwrap();
        registry.register_foreign(prompt("ask")).await.unwrap();
        registry.set_model_tag("ask".into(), tag("k", "v")).await.unwrap();
        registry.delete_model_tag("ask".into(), "k".into()).await.unwrap();
        registry.set_version_tag("ask".into(), 1, tag("k", "v")).await.unwrap();
        registry.delete_version_tag("ask".into(), 1, "k".into()).await.unwrap();
        registry.set_alias("ask".into(), "live".into(), 1, Expected::Any).await.unwrap();
        registry.delete_alias("ask".into(), "live".into()).await.unwrap();
        clock.advance(DurationMs(1_500));
        deliver(&registry).await;
        deliver(&registry).await;

        let name = json!("net");
        let expected: [(&str, Value); 14] = [
            ("registered_model.created", json!({"name": name, "tags": {"team": "a"}, "description": "a net"})),
            (
                "model_version.created",
                json!({"name": name, "version": "1", "source": source, "run_id": RUN, "tags": {}, "description": null}),
            ),
            ("model_version_tag.set", json!({"name": name, "version": "1", "key": "k", "value": "v"})),
            ("model_version_tag.deleted", json!({"name": name, "version": "1", "key": "k"})),
            ("model_version_alias.created", json!({"name": name, "alias": "live", "version": "1"})),
            ("model_version_alias.deleted", json!({"name": name, "alias": "live"})),
            ("prompt.created", json!({"name": "ask", "tags": {"lang": "en"}, "description": ""})),
            (
                "prompt_version.created",
                json!({"name": "ask", "version": "1", "template": "Hello {{name}}", "tags": {"by": "ada"},
                       "description": null}),
            ),
            ("prompt_tag.set", json!({"name": "ask", "key": "k", "value": "v"})),
            ("prompt_tag.deleted", json!({"name": "ask", "key": "k"})),
            ("prompt_version_tag.set", json!({"name": "ask", "version": "1", "key": "k", "value": "v"})),
            ("prompt_version_tag.deleted", json!({"name": "ask", "version": "1", "key": "k"})),
            ("prompt_alias.created", json!({"name": "ask", "alias": "live", "version": "1"})),
            ("prompt_alias.deleted", json!({"name": "ask", "alias": "live"})),
        ];
        let seen = receiver.seen();
        let told: Vec<(String, Value)> = seen.iter().map(|one| (one.event(), one.body["data"].clone())).collect();
        let expected: Vec<(String, Value)> =
            expected.into_iter().map(|(event, data)| (event.to_owned(), data)).collect();
        assert_eq!(told, expected);
        for one in &seen {
            assert!(is_signed_with(one, b"shh") && !is_signed_with(one, b"ssh"));
            assert_eq!(one.header("content-type"), Some("application/json"));
            assert_eq!(one.body["timestamp"], "2023-11-14T22:13:20.000+00:00");
            let sent = (NOW_MS / 1000 + 1).to_string();
            assert_eq!(one.header("X-MLflow-Timestamp"), Some(sent.as_str()));
        }
        let ids: std::collections::BTreeSet<&str> = seen.iter().map(Seen::id).collect();
        assert_eq!(ids.len(), seen.len());
    })
    .await;
}

#[tokio::test]
async fn what_pipelines_register_is_told_too_and_once() {
    let (registry, _) = in_memory().await;
    let receiver = Receiver::start().await;
    webhook(&registry, receiver.url(), &WebhookEvent::ALL).await;
    for run in ['1', '1', '2'] {
        registry.register(version_of(run)).await.unwrap();
    }
    for version in [2, 2, 1] {
        registry
            .advance_alias("digits".into(), "champion".into(), version)
            .await
            .unwrap();
    }
    deliver(&registry).await;
    let told: Vec<String> = receiver.seen().iter().map(Seen::event).collect();
    assert_eq!(
        told,
        [
            "registered_model.created",
            "model_version.created",
            "model_version.created",
            "model_version_alias.created"
        ]
    );
}

#[tokio::test]
async fn what_fails_is_not_told() {
    let (registry, _) = in_memory().await;
    let receiver = Receiver::start().await;
    webhook(&registry, receiver.url(), &WebhookEvent::ALL).await;
    model(&registry, "net").await;
    let again = registry.create_model("net".into(), String::new(), vec![]).await;
    assert!(matches!(again, Err(RegistryError::ModelExists(_))));
    assert!(
        registry
            .register_foreign(foreign("net", "/etc/passwd"))
            .await
            .is_err()
    );
    assert!(
        registry
            .set_version_tag("net".into(), 9, tag("k", "v"))
            .await
            .is_err()
    );
    deliver(&registry).await;
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn each_is_told_what_it_asked_for_and_those_that_are_off_nothing() {
    let (registry, _) = in_memory().await;
    let (one, two) = (Receiver::start().await, Receiver::start().await);
    let of_models = webhook(&registry, one.url(), &[WebhookEvent::RegisteredModelCreated]).await;
    webhook(&registry, two.url(), &[WebhookEvent::PromptCreated]).await;
    model(&registry, "a").await;
    deliver(&registry).await;
    assert_eq!((one.seen().len(), two.seen().len()), (1, 0));

    let change = |change: WebhookChange| registry.change_webhook(&of_models.id, change);
    let off = WebhookChange {
        is_active: Some(false),
        ..WebhookChange::default()
    };
    change(off).await.unwrap();
    model(&registry, "b").await;
    deliver(&registry).await;
    let on = WebhookChange {
        is_active: Some(true),
        secret: Some(String::new()),
        ..WebhookChange::default()
    };
    change(on).await.unwrap();
    model(&registry, "c").await;
    deliver(&registry).await;
    let names: Vec<Value> = one
        .seen()
        .iter()
        .map(|seen| seen.body["data"]["name"].clone())
        .collect();
    assert_eq!(names, ["a", "c"], "what happened while it was off is not told");
    assert!(is_signed_with(&one.seen()[0], b"shh"));
    assert_eq!(one.seen()[1].header("X-MLflow-Signature"), None);

    registry.delete_webhook(&of_models.id).await.unwrap();
    model(&registry, "d").await;
    deliver(&registry).await;
    assert_eq!(one.seen().len(), 2);
}

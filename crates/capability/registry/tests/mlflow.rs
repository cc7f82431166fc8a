//! The registry against MLflow's own: what a real `mlflow server` answered to a scenario is in `mlflow/registry.json`, written
//! by `scripts/mlflow-record`; Corliss is asked the same, on every database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use corliss_clock::{ManualClock, Sources};
use corliss_registry::{MIGRATIONS, http};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{DurationMs, Timestamp};
use corliss_webhook::Reach;
use serde_json::{Map, Value, json};
use support::{OTHER, RUN, registry_with};

/// What Corliss answers otherwise, by the line of the scenario, and why.
const DIFFERENT: &[(u64, &str)] = &[
    (
        60,
        "a file on another host is a path like any other, and not our fault",
    ),
    (63, "there is no variable that opens other hosts"),
    (64, "as above"),
    (65, "as above"),
    (
        67,
        "a logged model that is not there is the caller's mistake, and not our fault",
    ),
    (175, "a page of nothing leads to itself for ever"),
    (176, "as above"),
    (208, "a filter that ends with AND is broken off"),
    (216, "the key is refused as the others are"),
    (243, "the list is refused before what it is compared with"),
    (270, "no words of a database"),
];

#[tokio::test]
async fn every_answer_is_the_one_that_mlflow_gave() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        // Each call has its own time, by which some answers are ordered.
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1)));
        let sources = Sources::replayable(clock.clone(), 1);
        let (registry, _) = registry_with(store, sources, Reach::default());
        let router = support::router(http::routes(registry));
        let steps: Vec<Value> = serde_json::from_str(include_str!("mlflow/registry.json")).unwrap();
        let (mut hook, mut wrong) = (String::new(), Vec::new());
        for step in &steps {
            clock.advance(DurationMs(1));
            let filled = |text: &str| {
                text.replace("${RUN}", RUN)
                    .replace("${OTHER}", OTHER)
                    .replace("${HOOK}", &hook)
            };
            let path = step["call"][1].as_str().unwrap();
            let args: Value = serde_json::from_str(&filled(&step["call"][2].to_string())).unwrap();
            let method = step["call"][0].as_str().unwrap();
            let (status, answer) = asked(&router, method, &filled(path), args).await;
            if (path, method, status) == ("webhooks", "POST", 200) && hook.is_empty() {
                answer["webhook"]["webhook_id"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut hook);
            }
            let ours = answer
                .to_string()
                .replace(RUN, "${RUN}")
                .replace(OTHER, "${OTHER}");
            let ours = match hook.is_empty() {
                true => ours,
                false => ours.replace(&hook, "${HOOK}"),
            };
            let mut ours = plain(&serde_json::from_str(&ours).unwrap());
            let mut theirs = plain(&step["answer"]);
            if path.ends_with("get-latest-versions") && status == 200 {
                // The database's order, there.
                sort(&mut ours["model_versions"]);
                sort(&mut theirs["model_versions"]);
            }
            let line = step["line"].as_u64().unwrap();
            let is_same = is_same(
                &theirs,
                step["status"].as_u64().unwrap(),
                &ours,
                u64::from(status),
            );
            let is_known = DIFFERENT.iter().any(|(known, _)| *known == line);
            if is_same == is_known {
                wrong.push(format!(
                    "line {line}: {method} {path} {}\n  mlflow:  {} {theirs}\n  corliss: {status} {ours}",
                    step["call"][2], step["status"]
                ));
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    })
    .await;
}

async fn asked(router: &corliss_http::App, method: &str, path: &str, args: Value) -> (u16, Value) {
    let path = format!("/api/2.0/mlflow/{path}");
    if method != "GET" {
        return support::call(router, method, &path, Some(args)).await;
    }
    let mut query = Vec::new();
    for (name, value) in args.as_object().unwrap() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            query.push(format!("{name}={text}"));
        }
    }
    let path = match query.is_empty() {
        true => path,
        false => format!("{path}?{}", query.join("&")),
    };
    support::call(router, method, &path, None).await
}

/// A refusal is the same if its code is and its sentence begins as MLflow's: we may say what to do besides. Where MLflow
/// answers 500 to what its caller did wrong, a 4xx with its sentence is the same: clients repeat a call upon 500.
fn is_same(theirs: &Value, their_status: u64, ours: &Value, our_status: u64) -> bool {
    if their_status < 400 {
        return our_status == their_status && ours == theirs;
    }
    let (their, our) = (
        theirs["message"].as_str().unwrap_or_default(),
        ours["message"].as_str().unwrap_or_default(),
    );
    // What a set holds is written in another order each time.
    let cut = |text: &str| text.split("'{").next().unwrap().to_owned();
    let is_said = our.starts_with(their) || (their.contains("'{") && cut(our) == cut(their));
    match their_status {
        500 => (400..500).contains(&our_status) && is_said,
        _ => our_status == their_status && ours["error_code"] == theirs["error_code"] && is_said,
    }
}

/// What a page token says, however its JSON is spaced.
fn offset(token: &str) -> Value {
    let text = BASE64_STANDARD.decode(token).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn sort(versions: &mut Value) {
    let versions = versions.as_array_mut().unwrap();
    versions.sort_by_key(|one| one["version"].to_string());
}

/// Without times, and without what is empty, which MLflow leaves out; lists whose order says nothing in one order.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (name, value) in fields {
                let mut value = match name.as_str() {
                    "creation_timestamp" | "last_updated_timestamp" => json!(0),
                    "next_page_token" => json!(offset(value.as_str().unwrap())),
                    "webhook_id" if value != "${HOOK}" => json!("another"),
                    _ => plain(value),
                };
                if name == "latest_versions" {
                    sort(&mut value);
                }
                // Only where one version is asked for does MLflow say its aliases; we always do.
                if matches!(name.as_str(), "latest_versions" | "model_versions") {
                    for version in value.as_array_mut().unwrap() {
                        version.as_object_mut().unwrap().remove("aliases");
                    }
                }
                if !matches!(&value, Value::String(text) if text.is_empty())
                    && !matches!(&value, Value::Array(items) if items.is_empty())
                {
                    kept.insert(name.clone(), value);
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(plain).collect();
            let is_unordered = |item: &Value| {
                item.is_string()
                    || ["key", "alias", "entity"]
                        .iter()
                        .any(|name| item.get(name).is_some())
            };
            if items.iter().all(is_unordered) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        other => other.clone(),
    }
}

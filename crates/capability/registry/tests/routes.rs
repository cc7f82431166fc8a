//! The registry's routes on every database: native lists and MLflow's searches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_registry::{Expected, KeyValue, MIGRATIONS, http};
use corliss_testkit::metastore::for_each_backend;
use serde_json::{Value, json};
use support::{registry_on, version_of};

async fn get(router: &corliss_http::App, path: &str) -> (u16, Value) {
    support::call(router, "GET", path, None).await
}

fn names(answer: &Value, list: &str, field: &str) -> Vec<String> {
    let items = answer[list].as_array().unwrap();
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn models_are_listed_moved_and_deleted() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        for run in ['1', '2'] {
            registry.register(version_of(run)).await.unwrap();
        }
        registry
            .create_model("alone".into(), String::new(), vec![])
            .await
            .unwrap();
        let router = support::router(http::routes(registry));
        let (_, first) = get(&router, "/api/v1/models?limit=1").await;
        assert_eq!(names(&first, "items", "name"), ["alone"]);
        let token = first["next_page_token"].as_str().unwrap();
        let (_, second) = get(&router, &format!("/api/v1/models?limit=1&page_token={token}")).await;
        assert_eq!(
            (
                second["items"][0]["latest_version"].as_i64(),
                second.get("next_page_token")
            ),
            (Some(2), None)
        );

        let alias = "/api/v1/models/digits/aliases/champion";
        let put = |body| support::call(&router, "PUT", alias, Some(body));
        assert_eq!(put(json!({"version": 1, "expected_version": 0})).await.0, 200);
        let (status, moved) = put(json!({"version": 2, "expected_version": 0})).await;
        assert_eq!(
            (status, moved["error"]["code"].as_str()),
            (409, Some("model_alias_moved"))
        );
        assert_eq!(
            put(json!({"version": 2, "expected_version": 1})).await.1["previous_version"],
            1
        );
        let (_, detail) = get(&router, "/api/v1/models/digits").await;
        assert_eq!(
            (&detail["aliases"], &detail["versions"][0]["aliases"]),
            (&json!({"champion": 2}), &json!(["champion"]))
        );
        assert_eq!(detail["versions"][0]["metrics"], json!({"accuracy": 0.97}));
        let (status, typo) = get(&router, "/api/v1/models/digit").await;
        assert_eq!(
            (status, typo["error"]["hint"].as_str()),
            (404, Some("did you mean 'digits'?"))
        );
        assert_eq!(support::call(&router, "DELETE", alias, None).await.0, 204);
        assert_eq!(support::call(&router, "DELETE", alias, None).await.0, 404);
        assert_eq!(
            support::call(&router, "DELETE", "/api/v1/models/digits", None)
                .await
                .0,
            204
        );
        assert_eq!(get(&router, "/api/v1/models/digits").await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn searches_are_for_models_and_not_for_prompts() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let tag = |key: &str, value: &str| KeyValue {
            key: key.into(),
            value: value.into(),
        };
        registry
            .create_model("Ab".into(), String::new(), vec![tag("team", "x")])
            .await
            .unwrap();
        registry
            .create_model(
                "prompt".into(),
                String::new(),
                vec![tag("mlflow.prompt.is_prompt", "true")],
            )
            .await
            .unwrap();
        registry.register(version_of('1')).await.unwrap();
        registry.register(version_of('2')).await.unwrap();
        registry
            .set_alias("digits".into(), "champion".into(), 1, Expected::Any)
            .await
            .unwrap();
        let router = support::router(http::routes(registry));
        let not_prompt = "tags.%60mlflow.prompt.is_prompt%60+!%3D+'true'";
        let prompt = "tags.%60mlflow.prompt.is_prompt%60+%3D+'true'";
        for (filter, expected) in [
            ("", &["Ab", "digits"][..]),
            (not_prompt, &["Ab", "digits"]),
            (prompt, &["prompt"]),
            ("name+ILIKE+'aB%25'", &["Ab"]),
            ("name+LIKE+'a%25'", &[]),
            ("name+IN+('digits','x')", &["digits"]),
            (&format!("tags.team+%3D+'x'+AND+{not_prompt}"), &["Ab"]),
        ] {
            let path = format!("/api/2.0/mlflow/registered-models/search?filter={filter}&order_by=name");
            let (status, answer) = get(&router, &path).await;
            let mut found = names(&answer, "registered_models", "name");
            found.sort();
            assert_eq!(
                (status, found),
                (200, expected.iter().map(|name| (*name).to_owned()).collect()),
                "{filter}"
            );
        }
        let (_, versions) = get(
            &router,
            "/ajax-api/2.0/mlflow/model-versions/search?filter=version_number+%3E+1",
        )
        .await;
        assert_eq!(names(&versions, "model_versions", "version"), ["2"]);
        for bad in [
            "stage+%3D+'x'",
            "version_number+%3D+'x'",
            "source_path+IN+('x')",
            "tags.a+IS+NULL",
        ] {
            let path = format!("/api/2.0/mlflow/model-versions/search?filter={bad}");
            let (status, answer) = get(&router, &path).await;
            assert_eq!(
                (status, answer["error_code"].as_str()),
                (400, Some("INVALID_PARAMETER_VALUE")),
                "{bad}"
            );
        }
        let (status, answer) = get(
            &router,
            "/api/2.0/mlflow/registered-models/alias?name=digits&alias=no",
        )
        .await;
        assert_eq!(
            (status, answer["message"].as_str()),
            (400, Some("Registered model alias no not found."))
        );
    })
    .await;
}

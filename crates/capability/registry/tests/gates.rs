//! What may be served, who approved it, and the log, on every database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_diagnostics::Diagnose;
use corliss_registry::{Deployed, Expected, MIGRATIONS, NewVersion, Registry, RegistryError, Verdict, http};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::VersionId;
use serde_json::{Value, json};
use support::{
    call, damaged, foreign, pickled, pickled_beside, registry_on, router, unreadable, version_of, whole,
};

fn made_of(files: VersionId, run: char) -> NewVersion {
    NewVersion {
        source_version: files,
        ..version_of(run)
    }
}

async fn alias(registry: &Registry, version: i64) -> Result<Option<i64>, RegistryError> {
    let (name, alias) = ("digits".to_owned(), "champion".to_owned());
    registry.set_alias(name, alias, version, Expected::Any).await
}

async fn clear(registry: &Registry, version: i64, allow_pickle: bool) -> Result<(), RegistryError> {
    registry
        .clear_for_deployment("digits".into(), version, allow_pickle)
        .await
}

#[tokio::test]
async fn files_are_looked_at_when_they_are_registered_and_decide_what_is_served() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let (ana, router) = (registry.acting_as("ana"), router(http::routes(registry.clone())));
        let all = [(whole(), '1'), (pickled(), '2'), (damaged(), '3'), (pickled_beside(), '4')];
        for (files, run) in all {
            ana.register(made_of(files, run)).await.unwrap();
        }
        let (_, model) = call(&router, "GET", "/api/v1/models/digits", None).await;
        let checked: Vec<_> = model["versions"].as_array().unwrap().iter().map(|one| &one["checked"]).collect();
        let counts = |damaged, pickled, verified, unknown| {
            json!({"damaged": damaged, "unsafe": pickled, "verified": verified, "unknown": unknown, "unread": 0})
        };
        let expected = [counts(0, 1, 1, 0), counts(1, 0, 0, 1), counts(0, 2, 0, 2), counts(0, 0, 1, 0)];
        assert_eq!(checked, expected.each_ref());

        clear(&registry, 1, false).await.unwrap();
        let error = clear(&registry, 4, false).await.unwrap_err();
        assert_eq!(error.code(), "model_pickled");
        assert_eq!(
            error.to_string(),
            "version 4 of model 'digits' is not deployed: 'model.pkl' is a Python pickle"
        );
        assert!(error.hint().unwrap().ends_with("let a platform-admin deploy 'model.onnx' with --allow-pickle"));
        clear(&registry, 4, true).await.unwrap();
        // Nothing loads what is left without the pickles, so nobody's word helps.
        for allow in [false, true] {
            let error = clear(&registry, 2, allow).await.unwrap_err();
            assert_eq!(error.code(), "model_only_pickled");
            assert_eq!(
                error.to_string(),
                "version 2 of model 'digits' cannot be served: 'model.pkl' is a Python pickle, and no ONNX or GGUF \
                 file lies beside it"
            );
            assert!(error.hint().unwrap().contains("with --allow-pickle neither"));
        }
        for allow in [false, true] {
            let error = clear(&registry, 3, allow).await.unwrap_err();
            assert_eq!(error.code(), "model_damaged");
            assert!(error.to_string().contains("model.safetensors: its tensors take 2 bytes and it has 1 (at byte 70)"), "{error}");
        }

        let (_, version) = call(&router, "GET", "/api/v1/models/digits/versions/2", None).await;
        assert_eq!(version["registered_by"], "ana");
        let files: Vec<_> = version["files"].as_array().unwrap().iter().collect();
        assert_eq!((&files[0]["path"], &files[0]["verdict"]), (&json!("model.pkl"), &json!("unsafe")));
        assert_eq!((&files[1]["path"], &files[1]["detail"]), (&json!("odd.bin"), &json!("a pickle, as the file MLmodel says")));
        assert_eq!(
            version["model"],
            json!({"flavors": ["sklearn"], "inputs": "[1]", "input_example": "input_example.json"})
        );
    })
    .await;
}

#[tokio::test]
async fn a_check_is_repeated_and_copies_share_what_was_found() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let router = router(http::routes(registry.clone()));
        registry.register(made_of(pickled(), '1')).await.unwrap();
        registry
            .create_model("copy".into(), String::new(), vec![])
            .await
            .unwrap();
        let bob = registry.acting_as("bob");
        let copied = bob.register_foreign(corliss_registry::NewForeign {
            source: corliss_registry::ForeignSource {
                source: "models:/digits/1".into(),
                run_id: None,
                model_id: None,
            },
            ..foreign("copy", "")
        });
        let (copied, original) = (
            copied.await.unwrap(),
            registry.version("digits".into(), 1).await.unwrap(),
        );
        assert_eq!(
            (
                &copied.source_version,
                &copied.code,
                &copied.run_id,
                &copied.tracking_run_id,
                &copied.data,
                &copied.metrics
            ),
            (
                &original.source_version,
                &original.code,
                &original.run_id,
                &original.tracking_run_id,
                &original.data,
                &original.metrics
            )
        );
        assert_eq!(copied.registered_by, "bob");
        let (status, checked) = call(
            &router,
            "POST",
            "/api/v1/models/copy/versions/1/check",
            Some(json!({})),
        )
        .await;
        assert_eq!((status, &checked["checked"]["unsafe"]), (200, &json!(2)));
        registry.delete_model("digits".into()).await.unwrap();
        let (_, kept) = call(&router, "GET", "/api/v1/models/copy/versions/1", None).await;
        assert_eq!(kept["files"].as_array().unwrap().len(), 4, "the copy still knows");
        let (status, error) = call(
            &router,
            "POST",
            "/api/v1/models/copy/versions/9/check",
            Some(json!({})),
        )
        .await;
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (404, Some("model_version_not_found"))
        );
    })
    .await;
}

#[tokio::test]
async fn files_that_cannot_be_read_do_not_stop_a_registration_but_a_deployment() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        registry.register(made_of(unreadable(), '1')).await.unwrap();
        let error = clear(&registry, 1, true).await.unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("away", "the disk is away")
        );
        assert_eq!(Verdict::from_name("unsafe"), Some(Verdict::Unsafe));
    })
    .await;
}

#[tokio::test]
async fn a_protected_model_waits_for_somebody_else() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let router = router(http::routes(registry.clone()));
        let (ana, bob) = (registry.acting_as("ana"), registry.acting_as("bob"));
        for run in ['1', '2'] {
            ana.register(made_of(whole(), run)).await.unwrap();
        }
        alias(&ana, 1).await.unwrap();
        let protection = "/api/v1/models/digits/protection";
        let (status, set) = call(&router, "PUT", protection, Some(json!({"aliases": ["champion"]}))).await;
        assert_eq!(
            (status, &set["approvals"], &set["set_by"]),
            (200, &json!(1), &json!("test"))
        );

        let error = alias(&bob, 2).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "version 2 of model 'digits' has 0 of the 1 approvals that it needs"
        );
        assert_eq!(
            error.hint().unwrap(),
            "somebody other than ana approves it with: corliss models approve digits 2"
        );
        assert_eq!(
            clear(&registry, 2, true).await.unwrap_err().code(),
            "model_not_approved"
        );
        let advanced = bob.advance_alias("digits".into(), "champion".into(), 2).await;
        assert_eq!(advanced.unwrap_err().code(), "model_not_approved");
        // An alias that is not named is free.
        bob.set_alias("digits".into(), "challenger".into(), 2, Expected::Any)
            .await
            .unwrap();

        // The same in MLflow's words, for the alias and for the stage.
        for (method, path, body) in [
            (
                "POST",
                "registered-models/alias",
                json!({"name": "digits", "alias": "champion", "version": "2"}),
            ),
            (
                "POST",
                "model-versions/transition-stage",
                json!({"name": "digits", "version": "2", "stage": "Production"}),
            ),
        ] {
            let (status, refused) =
                call(&router, method, &format!("/api/2.0/mlflow/{path}"), Some(body)).await;
            assert_eq!(
                (status, refused["error_code"].as_str()),
                (409, Some("RESOURCE_CONFLICT")),
                "{path}"
            );
            let message = refused["message"].as_str().unwrap();
            assert!(message.ends_with("corliss models approve digits 2"), "{message}");
        }
        let staging = json!({"name": "digits", "version": "2", "stage": "Staging"});
        let path = "/api/2.0/mlflow/model-versions/transition-stage";
        assert_eq!(call(&router, "POST", path, Some(staging)).await.0, 200);

        let own = ana
            .decide("digits".into(), 2, true, String::new())
            .await
            .unwrap_err();
        assert_eq!(own.code(), "model_approval_own");
        bob.decide("digits".into(), 2, false, "fails on sevens".into())
            .await
            .unwrap();
        let decisions = "/api/v1/models/digits/versions/2/decisions";
        let approve = json!({"decision": "approved", "reason": "fine"});
        let (status, still) = call(&router, "POST", decisions, Some(approve)).await;
        assert_eq!(
            (status, still["missing_approval"].as_str()),
            (200, Some("was rejected by bob"))
        );
        assert_eq!(alias(&bob, 2).await.unwrap_err().code(), "model_not_approved");
        bob.decide("digits".into(), 2, true, "they are sevens".into())
            .await
            .unwrap();
        assert_eq!(alias(&bob, 2).await.unwrap(), Some(1));
        clear(&registry, 2, false).await.unwrap();
        let (_, version) = call(&router, "GET", "/api/v1/models/digits/versions/2", None).await;
        let said: Vec<_> = version["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (&one["actor"], &one["reason"]))
            .collect();
        assert_eq!(said.len(), 2, "each person's last word: {said:?}");
        assert!(said.contains(&(&json!("bob"), &json!("they are sevens"))));
        assert_eq!(version.get("missing_approval"), None);
    })
    .await;
}

#[tokio::test]
async fn who_approves_is_told_what_would_not_be_served_and_reasons_are_kept_whole() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let router = router(http::routes(registry.clone()));
        for (files, run) in [(damaged(), '1'), (pickled(), '2'), (whole(), '3')] {
            registry.register(made_of(files, run)).await.unwrap();
        }
        let decide = |version: i64, decision: &str, reason: String| {
            let path = format!("/api/v1/models/digits/versions/{version}/decisions");
            let body = json!({"decision": decision, "reason": reason});
            let router = &router;
            async move { call(router, "POST", &path, Some(body)).await }
        };
        let code = |answer: &Value| answer["unfit"]["code"].as_str().map(str::to_owned);
        let (status, told) = decide(1, "approved", String::new()).await;
        assert_eq!((status, code(&told).as_deref()), (200, Some("model_damaged")));
        assert!(
            told["unfit"]["message"]
                .as_str()
                .unwrap()
                .contains("model.safetensors")
        );
        assert_eq!(decide(1, "rejected", String::new()).await.1.get("unfit"), None);
        let (_, told) = decide(2, "approved", String::new()).await;
        assert_eq!(code(&told).as_deref(), Some("model_only_pickled"));

        let reason = "\u{e4}".repeat(1000);
        let (status, told) = decide(3, "approved", reason.clone()).await;
        assert_eq!((status, told.get("unfit")), (200, None));
        let (_, log) = call(&router, "GET", "/api/v1/models/digits/events", None).await;
        assert_eq!(log["items"][0]["details"]["reason"], json!(reason));
        let (status, refused) = decide(3, "rejected", format!("{reason}x")).await;
        assert_eq!((status, &refused["error"]["field"]), (400, &json!("reason")));
        assert_eq!(
            refused["error"]["message"],
            "'reason' exceeds the maximum length of 1000 characters"
        );
    })
    .await;
}

#[tokio::test]
async fn a_protection_is_not_got_around() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let router = router(http::routes(registry.clone()));
        registry
            .acting_as("ana")
            .register(made_of(whole(), '1'))
            .await
            .unwrap();
        let protect = |body| call(&router, "PUT", "/api/v1/models/digits/protection", Some(body));
        assert_eq!(protect(json!({"approvals": 0})).await.0, 400);
        assert_eq!(protect(json!({"approvals": 11})).await.0, 400);
        assert_eq!(protect(json!({"aliases": ["v1"]})).await.0, 400);
        assert_eq!(protect(json!({"alias": ["x"]})).await.0, 400);
        assert_eq!(protect(json!({})).await.0, 200);

        // A copy, a new name and a new model of the old name would be protected by nothing.
        let renamed = registry.rename_model("digits".into(), "free".into()).await;
        assert_eq!(renamed.unwrap_err().code(), "model_protected");
        let deleted = registry.delete_model("digits".into()).await;
        assert_eq!(
            deleted.unwrap_err().hint().unwrap(),
            "end that first with: corliss models unprotect digits"
        );

        // One person alone: if that is said.
        let ana = registry.acting_as("ana");
        assert_eq!(protect(json!({"self_approval": true})).await.0, 200);
        ana.decide("digits".into(), 1, true, String::new()).await.unwrap();
        alias(&ana, 1).await.unwrap();
        assert_eq!(protect(json!({})).await.0, 200);
        assert_eq!(alias(&ana, 1).await.unwrap_err().code(), "model_not_approved");

        let ended = call(&router, "DELETE", "/api/v1/models/digits/protection", None).await;
        assert_eq!(ended.0, 204);
        alias(&ana, 1).await.unwrap();
        registry
            .rename_model("digits".into(), "free".into())
            .await
            .unwrap();
        let decisions = "/api/v1/models/free/versions/1/decisions";
        assert_eq!(
            call(&router, "POST", decisions, Some(json!({"decision": "perhaps"})))
                .await
                .0,
            400
        );
    })
    .await;
}

fn told(page: &Value) -> Vec<(String, String, i64)> {
    let word = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let events = page["items"].as_array().unwrap().iter();
    events
        .map(|event| {
            (
                word(event, "actor"),
                word(event, "action"),
                event["version"].as_i64().unwrap_or(0),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_log_says_who_did_what_and_outlives_the_model() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let router = router(http::routes(registry.clone()));
        let ana = registry.acting_as("ana");
        ana.register(made_of(whole(), '1')).await.unwrap();
        // The same again does nothing, so nothing is told.
        ana.register(made_of(whole(), '1')).await.unwrap();
        alias(&ana, 1).await.unwrap();
        let mlflow = |method, path: &str, body: Value| {
            let path = format!("/api/2.0/mlflow/{path}");
            let router = &router;
            async move { assert_eq!(call(router, method, &path, Some(body)).await.0, 200, "{path}") }
        };
        let tag = json!({"name": "digits", "version": "1", "key": "k", "value": "x".repeat(1000)});
        mlflow("POST", "model-versions/set-tag", tag).await;
        mlflow(
            "DELETE",
            "registered-models/alias",
            json!({"name": "digits", "alias": "champion"}),
        )
        .await;
        mlflow(
            "DELETE",
            "registered-models/alias",
            json!({"name": "digits", "alias": "champion"}),
        )
        .await;
        for _ in 0..2 {
            let deployed = Deployed {
                endpoint: "digits".into(),
                reference: "digits/1".into(),
                name: "digits".into(),
                version: 1,
                by: None,
                allow_pickle: true,
                key: "digits/1/1".into(),
            };
            registry.record_deployment(deployed).await.unwrap();
        }
        registry
            .acting_as("bob")
            .rename_model("digits".into(), "numbers".into())
            .await
            .unwrap();
        registry
            .acting_as("bob")
            .delete_model("numbers".into())
            .await
            .unwrap();

        let log = |query: &str| {
            let path = format!("/api/v1/models/numbers/events{query}");
            let router = &router;
            async move { call(router, "GET", &path, None).await }
        };
        let (status, all) = log("").await;
        assert_eq!(status, 200, "also of a model that is gone");
        let line = |actor: &str, action: &str, version| (actor.to_owned(), action.to_owned(), version);
        let expected = [
            line("bob", "deleted", 0),
            line("bob", "renamed", 0),
            line("corliss", "deployed", 1),
            line("test", "alias_deleted", 1),
            line("test", "tag_set", 1),
            line("ana", "alias_set", 1),
            line("ana", "registered", 1),
            line("ana", "created", 0),
        ];
        assert_eq!(told(&all), expected);
        let items = all["items"].as_array().unwrap();
        assert_eq!(
            items[2]["details"],
            json!({"endpoint": "digits", "reference": "digits/1", "allow_pickle": true})
        );
        assert_eq!(
            items[4]["details"]["value"].as_str().unwrap().len(),
            300,
            "long texts are cut"
        );
        assert_eq!(
            items[5]["details"],
            json!({"alias": "champion", "from": null, "to": 1})
        );

        let (mut paged, mut token) = (Vec::new(), String::new());
        loop {
            let (_, page) = log(&format!("?limit=3{token}")).await;
            paged.extend(told(&page));
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => break,
            }
        }
        assert_eq!(paged, expected);
        assert_eq!(log("?page_token=x").await.0, 400);
        assert_eq!(
            call(&router, "GET", "/api/v1/models/nobody/events", None).await.0,
            404
        );
        assert_eq!(
            call(&router, "GET", "/api/v1/models/digits/events", None).await.0,
            404,
            "the log went along"
        );
    })
    .await;
}

//! The registry on every database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::collections::BTreeMap;

use corliss_diagnostics::Diagnose;
use corliss_registry::{Expected, KeyValue, MIGRATIONS, NewForeign, NewVersion, RegistryError, Stage};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{Flavor, VersionId};
use support::{RUN, foreign, known, registry_on, version_of};

#[tokio::test]
async fn registering_is_once_per_run_and_model() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, recorded) = registry_on(store);
        let first = registry.register(version_of('1')).await.unwrap();
        assert!(first.created);
        assert_eq!((first.version.version, first.version.flavor), (1, Flavor::Onnx));
        let again = registry.register(version_of('1')).await.unwrap();
        assert!(!again.created);
        assert_eq!(again.version, first.version);
        assert_eq!(
            again.version.metrics,
            BTreeMap::from([("accuracy".to_owned(), 0.97)])
        );
        assert_eq!(
            registry.register(version_of('2')).await.unwrap().version.version,
            2
        );
        // A repetition records lineage again, because the first caller may have died before it did.
        let names = |version| ("digits".to_owned(), version);
        assert_eq!(*recorded.0.lock().unwrap(), [names(1), names(1), names(2)]);

        let unknown = NewVersion {
            source_version: VersionId::from_digest([0; 32]),
            ..version_of('3')
        };
        assert!(matches!(
            registry.register(unknown).await.unwrap_err(),
            RegistryError::Source(_)
        ));
        // A number is never given twice.
        registry.delete_version("digits".into(), 2).await.unwrap();
        assert_eq!(
            registry.register(version_of('4')).await.unwrap().version.version,
            3
        );
    })
    .await;
}

#[tokio::test]
async fn a_run_that_makes_the_newest_version_again_registers_nothing() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        let first = registry.register(version_of('1')).await.unwrap();
        let unchanged = |run| NewVersion {
            run_id: version_of(run).run_id,
            ..version_of('1')
        };
        let same = registry.register(unchanged('2')).await.unwrap();
        assert!(!same.created);
        assert_eq!(same.version, first.version, "it is still the first run's");
        let better = NewVersion {
            metrics: BTreeMap::from([("accuracy".to_owned(), 0.98)]),
            ..unchanged('3')
        };
        assert_eq!(registry.register(better).await.unwrap().version.version, 2);
        // What is older than the newest is something new again: an alias that follows must move.
        let back = registry.register(unchanged('4')).await.unwrap();
        assert_eq!((back.created, back.version.version), (true, 3));
        registry.delete_version("digits".into(), 3).await.unwrap();
        let foreign = registry
            .register_foreign(foreign("digits", &format!("runs:/{RUN}/model")))
            .await
            .unwrap();
        assert_eq!(foreign.version, 4);
        assert!(registry.register(unchanged('5')).await.unwrap().created);
    })
    .await;
}

#[tokio::test]
async fn references_resolve_or_say_what_was_meant() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        registry.register(version_of('1')).await.unwrap();
        registry.register(version_of('2')).await.unwrap();
        registry
            .set_alias("digits".into(), "champion".into(), 1, Expected::Any)
            .await
            .unwrap();
        for (reference, version) in [
            ("digits", 2),
            ("digits@latest", 2),
            ("digits/1", 1),
            ("digits@champion", 1),
        ] {
            assert_eq!(
                registry.resolve(reference).await.unwrap().version,
                version,
                "{reference}"
            );
        }
        for (reference, code, hint) in [
            ("digit", "model_not_found", "did you mean 'digits'?"),
            (
                "digits@champoin",
                "model_alias_not_found",
                "did you mean 'champion'?",
            ),
            ("digits/9", "model_version_not_found", "the latest version is 2"),
            (
                "digits/x",
                "model_reference_invalid",
                "write it as name, name@alias or name/3",
            ),
        ] {
            let error = registry.resolve(reference).await.unwrap_err();
            assert_eq!(
                (error.code(), error.hint().as_deref()),
                (code, Some(hint)),
                "{reference}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn aliases_move_by_compare_and_set() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        for run in ['1', '2', '3'] {
            registry.register(version_of(run)).await.unwrap();
        }
        let set =
            |version, expected| registry.set_alias("digits".into(), "champion".into(), version, expected);
        assert_eq!(set(1, Expected::Absent).await.unwrap(), None);
        assert!(matches!(
            set(2, Expected::Absent).await,
            Err(RegistryError::AliasMoved { .. })
        ));
        assert!(matches!(
            set(2, Expected::Version(9)).await,
            Err(RegistryError::AliasMoved { .. })
        ));
        assert_eq!(set(2, Expected::Version(1)).await.unwrap(), Some(1));
        assert!(set(9, Expected::Any).await.is_err());
        let advance = |version| registry.advance_alias("digits".into(), "champion".into(), version);
        assert!(
            !advance(1).await.unwrap(),
            "a late pipeline does not take the alias back"
        );
        assert!(advance(3).await.unwrap());
        assert_eq!(registry.resolve("digits@champion").await.unwrap().version, 3);
        for reserved in ["latest", "LATEST", "v1", "V22", "", "a b", "a/b", "a@b"] {
            let made = registry
                .set_alias("digits".into(), reserved.into(), 1, Expected::Any)
                .await;
            assert!(made.is_err(), "{reserved}");
        }
        registry.delete_version("digits".into(), 3).await.unwrap();
        assert!(
            registry.resolve("digits@champion").await.is_err(),
            "an alias goes with its version"
        );
    })
    .await;
}

#[tokio::test]
async fn what_a_client_names_as_source_is_pinned_or_refused() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        registry
            .create_model("net".into(), "a net".into(), vec![])
            .await
            .unwrap();
        let taken = registry
            .create_model("net".into(), String::new(), vec![])
            .await
            .unwrap_err();
        assert_eq!(taken.to_string(), "there is a model 'net' already");
        for (bad, code) in [
            ("/etc/passwd", "mlflow_parameter_invalid"),
            ("file:///etc", "mlflow_parameter_invalid"),
            ("../x", "mlflow_parameter_invalid"),
            ("http://127.0.0.1/x", "mlflow_parameter_invalid"),
            ("s3://b/x", "model_source_invalid"),
        ] {
            let made = registry.register_foreign(foreign("net", bad)).await;
            assert_eq!(made.unwrap_err().code(), code, "{bad}");
        }
        let tags = vec![KeyValue {
            key: "k".into(),
            value: "v".into(),
        }];
        let good = NewForeign {
            description: "first".into(),
            tags: tags.clone(),
            ..foreign("net", &format!("mlflow-artifacts:/0/{RUN}/artifacts/model"))
        };
        let version = registry.register_foreign(good).await.unwrap();
        let read = registry.version("net".into(), 1).await.unwrap();
        assert_eq!(read, version);
        assert_eq!((read.tags, read.source_version), (tags, Some(known())));
    })
    .await;
}

#[tokio::test]
async fn stages_rename_and_delete() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        for run in ['1', '2', '3'] {
            registry.register(version_of(run)).await.unwrap();
        }
        let stage = |number, stage, archive| registry.set_stage("digits".into(), number, stage, archive);
        stage(1, Stage::Production, false).await.unwrap();
        stage(2, Stage::Production, true).await.unwrap();
        assert_eq!(
            registry.version("digits".into(), 1).await.unwrap().stage,
            Stage::Archived
        );
        assert!(stage(2, Stage::Archived, true).await.is_err());
        let latest = registry.latest_by_stage("digits".into(), vec![]).await.unwrap();
        assert_eq!(
            latest.iter().map(|version| version.version).collect::<Vec<_>>(),
            [3, 2, 1]
        );

        registry
            .set_alias("digits".into(), "champion".into(), 2, Expected::Any)
            .await
            .unwrap();
        registry
            .rename_model("digits".into(), "numbers".into())
            .await
            .unwrap();
        assert_eq!(registry.resolve("numbers@champion").await.unwrap().version, 2);
        assert!(registry.resolve("digits").await.is_err());
        for bad in ["a/b", "a:b", "a@b", " ", ".."] {
            assert!(
                registry.rename_model("numbers".into(), bad.into()).await.is_err(),
                "{bad}"
            );
        }
        registry.delete_model("numbers".into()).await.unwrap();
        assert!(registry.versions("numbers".into()).await.is_err());
        assert_eq!(
            registry.register(version_of('1')).await.unwrap().version.version,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn limits_are_mlflows() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        registry.register(version_of('1')).await.unwrap();
        let tag = |key: &str, value: String| KeyValue {
            key: key.into(),
            value,
        };
        let long = |count: usize| "é".repeat(count);
        let of_model = |tag| registry.set_model_tag("digits".into(), tag);
        let of_version = |tag| registry.set_version_tag("digits".into(), 1, tag);
        of_model(tag("k", long(100_000))).await.unwrap();
        of_version(tag("k", long(100_000))).await.unwrap();
        of_model(tag(&long(250), String::new())).await.unwrap();
        for (refused, reason) in [
            (
                of_model(tag("k", long(100_001))).await,
                "'value' exceeds the maximum length of 100000 characters",
            ),
            (
                of_version(tag("k", long(100_001))).await,
                "'value' exceeds the maximum length of 100000 characters",
            ),
            (
                of_model(tag(&long(251), String::new())).await,
                "'key' exceeds the maximum length of 250 characters",
            ),
            (
                of_version(tag("mlflow.prompt.text", long(100_001))).await,
                "Prompt text exceeds max length of 100000 characters.",
            ),
        ] {
            assert_eq!(refused.unwrap_err().to_string(), reason);
        }
        let alias = |alias: String| registry.set_alias("digits".into(), alias, 1, Expected::Any);
        alias(long(255)).await.unwrap();
        for (bad, reason) in [
            (
                long(256),
                "'Registered model alias name' exceeds the maximum length of 255 characters",
            ),
            ("v1".into(), "Version alias name 'v1' is reserved."),
            ("V१२".into(), "Version alias name 'V१२' is reserved."),
            (
                "LaTeSt".into(),
                "'latest' alias name (case insensitive) is reserved.",
            ),
        ] {
            assert_eq!(alias(bad).await.unwrap_err().to_string(), reason);
        }
    })
    .await;
}

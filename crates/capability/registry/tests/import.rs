//! Moving in: versions keep their numbers and come once; what is here already is not taken over, and nobody is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::collections::BTreeMap;

use corliss_registry::{ForeignSource, ImportRegistered, ImportVersion, KeyValue, MIGRATIONS, Stage};
use corliss_testkit::metastore::for_each_backend;
use support::{OTHER, RUN, foreign, known, registry_on};

fn tag(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn version(number: i64, run: &str) -> ImportVersion {
    ImportVersion {
        version: number,
        description: format!("the {number}th"),
        stage: Stage::Staging,
        source: ForeignSource {
            source: format!("mlflow-artifacts:/0/{run}/artifacts/model"),
            run_id: Some(run.to_owned()),
            model_id: None,
        },
        run_link: String::new(),
        created_ms: 10 + number,
        updated_ms: 20 + number,
        tags: vec![tag("vk", "vv")],
    }
}

fn model(versions: Vec<ImportVersion>) -> ImportRegistered {
    ImportRegistered {
        source: "sqlite:////m.db".to_owned(),
        name: "net".to_owned(),
        description: "a net".to_owned(),
        created_ms: 1,
        updated_ms: 2,
        tags: vec![tag("k", "v")],
        aliases: BTreeMap::from([("live".to_owned(), 3), ("gone".to_owned(), 9)]),
        versions,
        dry_run: false,
    }
}

#[tokio::test]
async fn versions_keep_their_numbers_and_come_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, recorded) = registry_on(store);
        let wish = model(vec![version(3, RUN), version(7, RUN), version(8, OTHER)]);
        let dry = ImportRegistered {
            dry_run: true,
            ..wish.clone()
        };
        assert!(registry.import_registered(dry).await.unwrap().here.is_empty());
        assert!(registry.model("net".into()).await.is_err());
        for _ in 0..2 {
            let moved = registry.import_registered(wish.clone()).await.unwrap();
            assert_eq!(moved.here, [3, 7]);
            assert_eq!(
                moved.stages,
                BTreeMap::from([(3, Stage::Staging), (7, Stage::Staging)])
            );
            assert_eq!(moved.aliases, BTreeMap::from([("live".to_owned(), 3)]));
            assert_eq!(
                (moved.refused.len(), moved.refused[0].0),
                (1, 8),
                "{:?}",
                moved.refused
            );
        }
        let found = registry.model("net".into()).await.unwrap();
        assert_eq!(
            (found.description.as_str(), found.created_ms, found.updated_ms),
            ("a net", 1, 2)
        );
        assert_eq!(
            found.aliases,
            BTreeMap::from([("live".to_owned(), 3)]),
            "one points at nothing here"
        );
        assert_eq!(found.tags, [tag("k", "v")]);
        let third = registry.version("net".into(), 3).await.unwrap();
        assert_eq!(
            (third.created_ms, third.updated_ms, third.stage),
            (13, 23, Stage::Staging)
        );
        assert_eq!(
            (third.source_version, third.tracking_run_id.as_deref()),
            (Some(known()), Some(RUN))
        );
        assert_eq!(
            (third.description.as_str(), third.tags),
            ("the 3th", vec![tag("vk", "vv")])
        );
        assert_eq!(
            *recorded.0.lock().unwrap(),
            [("net".to_owned(), 3), ("net".to_owned(), 7)]
        );
        // The next number is one that nothing had.
        let own = format!("mlflow-artifacts:/0/{RUN}/artifacts/model");
        assert_eq!(
            registry
                .register_foreign(foreign("net", &own))
                .await
                .unwrap()
                .version,
            8
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_here_is_not_taken_over() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        registry
            .create_model("net".into(), "mine".into(), vec![tag("k", "mine")])
            .await
            .unwrap();
        let own = format!("mlflow-artifacts:/0/{RUN}/artifacts/model");
        for _ in 0..3 {
            registry.register_foreign(foreign("net", &own)).await.unwrap();
        }
        let moved = registry
            .import_registered(model(vec![version(3, RUN), version(4, RUN)]))
            .await
            .unwrap();
        assert_eq!(moved.here, [4]);
        assert_eq!(
            moved.refused,
            [(
                3,
                "model 'net' has a version 3 here that comes from elsewhere".to_owned()
            )]
        );
        let found = registry.model("net".into()).await.unwrap();
        assert_eq!(
            (found.description.as_str(), found.tags),
            ("mine", vec![tag("k", "mine")])
        );
        assert!(
            found.aliases.is_empty(),
            "an alias does not point at another version than it did"
        );
    })
    .await;
}

#[tokio::test]
async fn prompts_have_no_files_and_copies_have_those_of_their_original() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (registry, _) = registry_on(store);
        registry
            .import_registered(model(vec![version(1, RUN)]))
            .await
            .unwrap();
        let of = |source: &str, tags| ImportVersion {
            source: ForeignSource {
                source: source.to_owned(),
                run_id: None,
                model_id: None,
            },
            tags,
            ..version(2, RUN)
        };
        let text = vec![
            tag("mlflow.prompt.is_prompt", "true"),
            tag("mlflow.prompt.text", "Hello"),
        ];
        let prompt = ImportRegistered {
            name: "greeting".to_owned(),
            tags: vec![tag("mlflow.prompt.is_prompt", "true")],
            ..model(vec![of("dummy-source", text)])
        };
        assert_eq!(registry.import_registered(prompt).await.unwrap().here, [2]);
        let found = registry.version("greeting".into(), 2).await.unwrap();
        assert!(found.is_prompt() && found.source_version.is_none());
        let copy = ImportRegistered {
            name: "copy".to_owned(),
            ..model(vec![of("models:/net/1", vec![])])
        };
        assert_eq!(registry.import_registered(copy).await.unwrap().here, [2]);
        let found = registry.version("copy".into(), 2).await.unwrap();
        assert_eq!(
            (found.source_version, found.source.as_str()),
            (Some(known()), "models:/net/1")
        );
        let outside = ImportRegistered {
            name: "bad".to_owned(),
            ..model(vec![of("/etc/passwd", vec![])])
        };
        let moved = registry.import_registered(outside).await.unwrap();
        assert!(moved.here.is_empty() && moved.refused.len() == 1, "{moved:?}");
    })
    .await;
}

//! Tracking on every database: what is logged comes back, what must be refused is, whatever holds the rows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;

use corliss_metastore::Metastore;
use corliss_testkit::metastore::for_each_backend;
use corliss_tracking::{
    Batch, KeyValue, LifecycleStage, LoggedModelSearch, MIGRATIONS, Metric, NewLoggedModel, NewRun, Purge,
    Purged, RunSearch, RunStatus, SearchScope, StepRun, Tracking, TrackingError, ViewType,
};
use corliss_types::TrackingRunId;
use support::{Memory, TracesEach, body, tracking_on};

fn metric(key: &str, value: f64, step: i64, logged_ms: i64) -> Metric {
    Metric {
        key: key.to_owned(),
        value,
        logged_ms,
        step,
        model_id: None,
        dataset: None,
    }
}

async fn new_run(tracking: &Tracking) -> String {
    let new = NewRun {
        user: "ada".to_owned(),
        start_ms: Some(1),
        ..NewRun::default()
    };
    tracking.create_run(new).await.unwrap().info.run_id
}

async fn found(tracking: &Tracking, filter: &str, order: &[&str]) -> Result<Vec<String>, TrackingError> {
    let scope = SearchScope {
        filter: filter.to_owned(),
        order_by: order.iter().map(|clause| (*clause).to_owned()).collect(),
        ..SearchScope::default()
    };
    let page = tracking
        .search_runs(RunSearch {
            experiment_ids: vec![0],
            scope,
        })
        .await?;
    Ok(page.items.into_iter().map(|run| run.info.name).collect())
}

#[tokio::test]
async fn experiments() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store.clone()).await;
        assert_eq!(tracking.experiment(0).await.unwrap().name, "Default");
        let id = tracking
            .create_experiment("vision".into(), None, vec![KeyValue::new("team", "a")])
            .await
            .unwrap();
        assert_eq!(id, 1);
        let experiment = tracking.experiment_by_name("vision".into()).await.unwrap();
        assert_eq!(experiment.artifact_location, "mlflow-artifacts:/1");
        assert_eq!(experiment.tags, [KeyValue::new("team", "a")]);
        let again = tracking
            .create_experiment("vision".into(), None, vec![])
            .await
            .unwrap_err();
        assert!(matches!(again, TrackingError::ExperimentExists(_)), "{again}");

        tracking
            .set_experiment_stage(id, LifecycleStage::Deleted)
            .await
            .unwrap();
        let refused = tracking
            .create_run(NewRun {
                experiment_id: id,
                ..NewRun::default()
            })
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("must be in the 'active' state"),
            "{refused}"
        );
        let twice = tracking
            .set_experiment_stage(id, LifecycleStage::Deleted)
            .await
            .unwrap_err();
        assert_eq!(twice.to_string(), "No Experiment with id=1 exists");
        let all = SearchScope {
            view: ViewType::DeletedOnly,
            ..SearchScope::default()
        };
        assert_eq!(tracking.search_experiments(all).await.unwrap().items.len(), 1);
        tracking
            .set_experiment_stage(id, LifecycleStage::Active)
            .await
            .unwrap();
        let clash = tracking
            .rename_experiment(id, "Default".into())
            .await
            .unwrap_err();
        assert!(matches!(clash, TrackingError::ExperimentExists(_)));
        for location in ["/etc", "file:///etc", "runs:/x", "s3://b/../c", "relative"] {
            let made = tracking
                .create_experiment(format!("at {location}"), Some(location.into()), vec![])
                .await;
            assert!(made.is_err(), "{location}");
        }
        // A second service on the same store finds what the first one left.
        let reopened = tracking_on(store).await;
        assert_eq!(reopened.experiment(0).await.unwrap().name, "Default");
    })
    .await;
}

#[tokio::test]
async fn params_are_write_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = new_run(&tracking).await;
        tracking.log_param(run.clone(), KeyValue::new("lr", "0.1")).await.unwrap();
        tracking.log_param(run.clone(), KeyValue::new("lr", "0.1")).await.unwrap();
        let changed = tracking.log_param(run.clone(), KeyValue::new("lr", "0.2")).await.unwrap_err();
        assert_eq!(
            changed.to_string(),
            format!(
                "Changing param values is not allowed. Param with key='lr' was already logged with value='0.1' for \
                 run ID='{run}'. Attempted logging new value '0.2'."
            )
        );
        let batch = Batch {
            metrics: vec![metric("loss", 1.0, 0, 1)],
            params: vec![KeyValue::new("depth", "3"), KeyValue::new("lr", "0.3")],
            tags: vec![],
        };
        let refused = tracking.log_batch(run.clone(), batch).await.unwrap_err();
        assert!(refused.to_string().contains("Params were already logged"), "{refused}");
        let read = tracking.run(run).await.unwrap();
        assert_eq!(read.params, [KeyValue::new("lr", "0.1")]);
        assert!(read.metrics.is_empty(), "a refused batch logs nothing of itself");
    })
    .await;
}

#[tokio::test]
async fn the_latest_metric_follows_step_time_and_value() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = new_run(&tracking).await;
        for logged in [
            metric("m", 3.0, 5, 10),
            metric("m", 9.0, 4, 99),
            metric("m", 1.0, 5, 9),
        ] {
            tracking.log_metric(run.clone(), logged).await.unwrap();
        }
        assert_eq!(tracking.run(run.clone()).await.unwrap().metrics[0].value, 3.0);
        tracking
            .log_metric(run.clone(), metric("m", 4.0, 5, 10))
            .await
            .unwrap();
        assert_eq!(tracking.run(run.clone()).await.unwrap().metrics[0].value, 4.0);
        // The same point twice is one point.
        tracking
            .log_metric(run.clone(), metric("m", 4.0, 5, 10))
            .await
            .unwrap();
        let history = tracking
            .metric_history(run.clone(), "m".into(), None, 0)
            .await
            .unwrap();
        assert_eq!(history.items.len(), 4);

        let special = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            -0.0,
            f64::MAX,
        ];
        let metrics = special
            .iter()
            .enumerate()
            .map(|(index, value)| metric(&format!("s{index}"), *value, -1, 7));
        let batch = Batch {
            metrics: metrics.collect(),
            ..Batch::default()
        };
        tracking.log_batch(run.clone(), batch).await.unwrap();
        let read = tracking.run(run.clone()).await.unwrap();
        for (index, value) in special.iter().enumerate() {
            let back = read
                .metrics
                .iter()
                .find(|metric| metric.key == format!("s{index}"))
                .unwrap();
            assert!(
                back.value == *value || (back.value.is_nan() && value.is_nan()),
                "{value}"
            );
            assert_eq!((back.step, back.logged_ms), (-1, 7));
        }
        let id: TrackingRunId = run.parse().unwrap();
        let latest = tracking.latest_metrics(std::slice::from_ref(&id)).await.unwrap();
        assert_eq!(latest[&id]["m"], 4.0);
    })
    .await;
}

#[tokio::test]
async fn a_large_batch_and_its_history_in_pages() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = new_run(&tracking).await;
        let metrics: Vec<Metric> = (0..1000)
            .map(|step| metric("loss", f64::from(step as i32), step, step))
            .collect();
        tracking
            .log_batch(
                run.clone(),
                Batch {
                    metrics,
                    ..Batch::default()
                },
            )
            .await
            .unwrap();
        let first = tracking
            .metric_history(run.clone(), "loss".into(), Some(600), 0)
            .await
            .unwrap();
        assert_eq!(first.items.len(), 600);
        assert!(first.next_page_token.is_some());
        let second = tracking
            .metric_history(run.clone(), "loss".into(), Some(600), 600)
            .await
            .unwrap();
        assert_eq!((second.items.len(), second.next_page_token), (400, None));
        let thin = tracking
            .metric_history_interval(vec![run.clone()], "loss".into(), None, 10)
            .await
            .unwrap();
        assert_eq!(thin.len(), 10);
        assert_eq!(thin.last().unwrap().1.step, 999);
        let bulk = tracking
            .metric_history_bulk(vec![run.clone()], "loss".into(), 50)
            .await
            .unwrap();
        assert_eq!(bulk.len(), 50);

        let too_many = (0..1001).map(|step| metric("loss", 0.0, step, 0)).collect();
        let refused = tracking
            .log_batch(
                run,
                Batch {
                    metrics: too_many,
                    ..Batch::default()
                },
            )
            .await
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("A batch logging request can contain at most 1000 metrics.")
        );
    })
    .await;
}

#[tokio::test]
async fn deleted_runs_take_nothing() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = new_run(&tracking).await;
        tracking
            .set_run_stage(run.clone(), LifecycleStage::Deleted)
            .await
            .unwrap();
        let refused = tracking
            .log_metric(run.clone(), metric("m", 1.0, 0, 0))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("The run {run} must be in the 'active' state. Current state is deleted.")
        );
        assert!(found(&tracking, "", &[]).await.unwrap().is_empty());
        tracking
            .set_run_stage(run.clone(), LifecycleStage::Active)
            .await
            .unwrap();
        tracking
            .log_metric(run.clone(), metric("m", 1.0, 0, 0))
            .await
            .unwrap();
        let missing = tracking
            .set_tag("0".repeat(32), KeyValue::new("a", "b"))
            .await
            .unwrap_err();
        assert_eq!(
            missing.to_string(),
            format!("Run with id={} not found", "0".repeat(32))
        );
        let no_tag = tracking.delete_tag(run.clone(), "nope".into()).await.unwrap_err();
        assert_eq!(
            no_tag.to_string(),
            format!("No tag with name: nope in run with id {run}")
        );
    })
    .await;
}

/// Three runs with metrics, parameters and tags that tell them apart.
async fn three_runs(store: Metastore) -> Tracking {
    let tracking = tracking_on(store).await;
    for (index, name) in ["a", "B", "c"].into_iter().enumerate() {
        let start_ms = Some(100 + i64::try_from(index).unwrap());
        let new = NewRun {
            name: Some(name.into()),
            start_ms,
            ..NewRun::default()
        };
        let run = tracking.create_run(new).await.unwrap().info.run_id;
        let score = if name == "c" {
            f64::NAN
        } else {
            f64::from(u8::try_from(index).unwrap())
        };
        let batch = Batch {
            metrics: vec![metric("score", score, 0, 0)],
            params: vec![KeyValue::new("model", format!("Net_{name}%\\"))],
            tags: if name == "a" {
                vec![KeyValue::new("my tag", "x")]
            } else {
                vec![]
            },
        };
        tracking.log_batch(run, batch).await.unwrap();
    }
    tracking
}

#[tokio::test]
async fn search_filters() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = three_runs(store).await;
        for (filter, expected) in [
            ("", "c B a"),
            ("metrics.score >= 0", "B a"),
            ("metrics.score > 0 AND attributes.start_time < 102", "B"),
            ("metrics.score != 0", "B"),
            ("params.model LIKE 'Net%'", "c B a"),
            ("params.model LIKE 'net%'", ""),
            ("params.model ILIKE 'nEt%'", "c B a"),
            ("params.model LIKE 'Net_B%'", "B"),
            ("params.model = 'Net_a%\\'", "a"),
            ("params.model LIKE '%\\'", "c B a"),
            ("tags.`my tag` = 'x'", "a"),
            ("tags.\"my tag\" IS NULL", "c B"),
            ("tags.`my tag` IS NOT NULL", "a"),
            ("tags.`my tag` != 'x'", ""),
            ("run_name = 'B'", "B"),
            ("attributes.status = 'RUNNING' and run_name != 'B'", "c a"),
            ("run_name LIKE '%'' OR 1=1 --'", ""),
        ] {
            let names = found(&tracking, filter, &[])
                .await
                .unwrap_or_else(|error| panic!("{filter}: {error}"));
            assert_eq!(names.join(" "), expected, "{filter}");
        }
        for bad in [
            "metrics.score LIKE 'x'",
            "metrics.score = 'x'",
            "params.model > 'x'",
            "params.model = 1",
            "attributes.nope = 'x'",
            "nope.x = 'x'",
            "attributes.start_time = 'x'",
            "run_name IN ('a')",
            "metrics.score > 1 OR metrics.score < 1",
            "datasets.nope = 'x'",
        ] {
            let refused = found(&tracking, bad, &[]).await.unwrap_err();
            assert!(matches!(refused, TrackingError::Request(_)), "{bad}: {refused}");
        }
    })
    .await;
}

#[tokio::test]
async fn search_order_and_pages() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = three_runs(store).await;
        for (order, expected) in [
            (&["metrics.score ASC"][..], "a B c"),
            (&["metrics.score DESC"], "B a c"),
            (&["tags.`my tag`"], "a c B"),
            (&["start_time"], "a B c"),
            (&["params.model DESC", "metrics.score"], "c a B"),
        ] {
            let names = found(&tracking, "", order).await.unwrap();
            if order[0].starts_with("params") {
                // How letters of different case sort is the database's collation.
                assert_eq!(names.len(), 3);
            } else {
                assert_eq!(names.join(" "), expected, "{order:?}");
            }
        }
        assert!(
            found(&tracking, "", &["metrics.score", "metrics.score DESC"])
                .await
                .is_err()
        );
        let mut scope = SearchScope {
            max_results: Some(2),
            ..SearchScope::default()
        };
        let first = tracking
            .search_runs(RunSearch {
                experiment_ids: vec![0],
                scope: scope.clone(),
            })
            .await
            .unwrap();
        assert_eq!(first.items.len(), 2);
        scope.page_token = first.next_page_token;
        let second = tracking
            .search_runs(RunSearch {
                experiment_ids: vec![0],
                scope,
            })
            .await
            .unwrap();
        assert_eq!((second.items.len(), second.next_page_token), (1, None));
        let none = tracking.search_runs(RunSearch::default()).await.unwrap();
        assert!(none.items.is_empty(), "no experiment is no run");
    })
    .await;
}

#[tokio::test]
async fn what_was_deleted_is_purged_with_all_that_hangs_on_it_and_nothing_else() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store.clone())
            .await
            .with_traces(Arc::new(TracesEach(3)));
        let make = |name: &'static str| {
            let tracking = tracking.clone();
            async move {
                let id = tracking
                    .create_experiment(name.into(), None, vec![])
                    .await
                    .unwrap();
                let new = NewRun {
                    experiment_id: id,
                    ..NewRun::default()
                };
                let run = tracking.create_run(new).await.unwrap().info.run_id;
                let batch = Batch {
                    metrics: (0..100).map(|step| metric("loss", 0.5, step, step)).collect(),
                    params: vec![KeyValue::new("rate", "1")],
                    tags: vec![KeyValue::new("team", "a")],
                };
                tracking.log_batch(run.clone(), batch).await.unwrap();
                let path = format!("{id}/{run}/artifacts/plots/a.txt");
                tracking.put_artifact(path, body("four")).await.unwrap();
                (id, run)
            }
        };
        let (kept, run_kept) = make("kept").await;
        let (gone, _) = make("gone").await;
        let (half, run_half) = make("half").await;
        tracking
            .set_run_stage(run_half.clone(), LifecycleStage::Deleted)
            .await
            .unwrap();
        tracking
            .set_experiment_stage(gone, LifecycleStage::Deleted)
            .await
            .unwrap();
        let purge = |older_than_ms: u64, experiment_ids: &[i64], dry_run: bool| {
            let purge = Purge {
                older_than_ms,
                experiment_ids: experiment_ids.to_vec(),
                dry_run,
            };
            let tracking = tracking.clone();
            async move { tracking.purge(purge).await.unwrap() }
        };
        assert_eq!(purge(3_600_000, &[], false).await, Purged::default(), "not yet");
        assert_eq!(purge(0, &[kept], false).await, Purged::default(), "not there");
        let would = purge(0, &[], true).await;
        assert_eq!((would.runs, would.experiments, would.traces), (2, 1, 3));
        let purged = purge(0, &[], false).await;
        assert_eq!((purged.runs, purged.experiments, purged.more), (2, 1, false));
        assert_eq!(purged.traces, 3);
        assert_eq!((purged.artifacts, purged.artifact_bytes), (2, 8));
        assert_eq!(purge(0, &[], false).await, Purged::default());
        assert!(tracking.experiment(gone).await.is_err());
        assert!(tracking.run(run_half).await.is_err());
        tracking.experiment(half).await.unwrap();
        assert_eq!(tracking.run(run_kept.clone()).await.unwrap().params.len(), 1);
        let path = format!("{kept}/{run_kept}/artifacts/plots/a.txt");
        tracking.open_artifact(path).await.unwrap();
        assert_eq!(tracking.blobs_in_use().await.unwrap().len(), 1);
        // Neither its name nor its number stays taken by what is gone, but the number is never given again.
        tracking
            .set_experiment_stage(half, LifecycleStage::Deleted)
            .await
            .unwrap();
        assert_eq!(purge(0, &[], false).await.experiments, 1);
        let again = tracking
            .create_experiment("gone".into(), None, vec![])
            .await
            .unwrap();
        assert!(again > half, "{again}");
    })
    .await;
}

#[tokio::test]
async fn artifacts_are_a_tree_of_names() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let memory = Memory::default();
        let tracking = support::tracking_with(store, memory.clone()).await;
        let run = new_run(&tracking).await;
        let root = format!("0/{run}/artifacts");
        tracking
            .put_artifact(format!("{root}/model/MLmodel"), body("flavors: {}"))
            .await
            .unwrap();
        tracking
            .put_artifact(format!("{root}/model/data/w.bin"), body("weights"))
            .await
            .unwrap();
        tracking
            .put_artifact(format!("{root}/model/data/w.bin"), body("weights!"))
            .await
            .unwrap();
        let names = |entries: Vec<corliss_tracking::ArtifactEntry>| {
            entries
                .into_iter()
                .map(|entry| (entry.name, entry.size_bytes))
                .collect::<Vec<_>>()
        };
        let listed = names(tracking.list_artifacts(format!("{root}/model")).await.unwrap());
        assert_eq!(
            listed,
            [("MLmodel".to_owned(), Some(11)), ("data".to_owned(), None)]
        );
        assert!(
            tracking
                .list_artifacts(format!("{root}/model/MLmodel"))
                .await
                .unwrap()
                .is_empty()
        );
        let read = tracking
            .open_artifact(format!("{root}/model/data/w.bin"))
            .await
            .unwrap();
        assert_eq!(
            (read.size_bytes, support::text(read.bytes).await.as_str()),
            (8, "weights!")
        );

        let uri = format!("mlflow-artifacts:/{root}/model");
        let files = tracking.files_under(&uri).await.unwrap().unwrap();
        assert_eq!(
            files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["MLmodel", "data/w.bin"]
        );
        assert_eq!(tracking.files_under("s3://bucket/model").await.unwrap(), None);

        let stored = memory.count();
        for bad in [
            format!("{root}/model"),
            format!("{root}/model/MLmodel/x"),
            format!("{root}/../../x"),
            "0/artifacts/x".to_owned(),
            format!("1/{run}/artifacts/x"),
            format!("0/{}/artifacts/x", "0".repeat(32)),
            root.clone(),
        ] {
            assert!(
                tracking.put_artifact(bad.clone(), body("no")).await.is_err(),
                "{bad}"
            );
        }
        // Only the two that clash with what is there were taken in; without an owner not a byte is read.
        assert_eq!(memory.count(), stored + 2);
        tracking.delete_artifact(format!("{root}/model")).await.unwrap();
        assert!(
            tracking
                .open_artifact(format!("{root}/model/data/w.bin"))
                .await
                .is_err()
        );
        assert!(
            tracking
                .list_artifacts(format!("{root}/model/data"))
                .await
                .unwrap()
                .is_empty()
        );
        tracking
            .set_run_stage(run, LifecycleStage::Deleted)
            .await
            .unwrap();
        assert!(
            tracking
                .put_artifact(format!("{root}/late"), body("no"))
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn a_step_has_one_tracking_run() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let id: TrackingRunId = "ab".repeat(16).parse().unwrap();
        let step = StepRun {
            id: id.clone(),
            project: "digits".into(),
            run_id: "run_00000000000000000000000000".parse().unwrap(),
            step: "train".into(),
            user: "ada".into(),
            tags: vec![],
        };
        tracking.ensure_step_run(step.clone()).await.unwrap();
        tracking.ensure_step_run(step.clone()).await.unwrap();
        let run = tracking.run(id.to_string()).await.unwrap();
        assert_eq!(
            tracking.experiment(run.info.experiment_id).await.unwrap().name,
            "digits"
        );
        assert!(run.tags.contains(&KeyValue::new("corliss.step", "train")));

        // The client ends it at 5; the step's own end agrees, so 5 stays.
        tracking
            .update_run(id.to_string(), Some(RunStatus::Finished), Some(5), None)
            .await
            .unwrap();
        tracking.finish_step_run(&id, RunStatus::Finished).await.unwrap();
        assert_eq!(tracking.run(id.to_string()).await.unwrap().info.end_ms, Some(5));
        tracking.ensure_step_run(step.clone()).await.unwrap();
        let again = tracking.run(id.to_string()).await.unwrap().info;
        assert_eq!((again.status, again.end_ms), (RunStatus::Running, None));
        tracking.finish_step_run(&id, RunStatus::Failed).await.unwrap();
        assert_eq!(
            tracking.run(id.to_string()).await.unwrap().info.status,
            RunStatus::Failed
        );

        tracking
            .set_experiment_stage(run.info.experiment_id, LifecycleStage::Deleted)
            .await
            .unwrap();
        let other = StepRun {
            id: "cd".repeat(16).parse().unwrap(),
            ..step
        };
        tracking.ensure_step_run(other).await.unwrap();
        let experiment = tracking.experiment(run.info.experiment_id).await.unwrap();
        assert_eq!(experiment.lifecycle, LifecycleStage::Active);
        assert_eq!(
            tracking.run(id.to_string()).await.unwrap().info.lifecycle,
            LifecycleStage::Deleted
        );
    })
    .await;
}

#[tokio::test]
async fn logged_models() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = new_run(&tracking).await;
        let new = NewLoggedModel {
            name: Some("net".into()),
            source_run_id: run.clone(),
            params: vec![KeyValue::new("lr", "0.1")],
            ..NewLoggedModel::default()
        };
        let model = tracking.create_logged_model(new).await.unwrap();
        assert_eq!(
            model.artifact_uri,
            format!("mlflow-artifacts:/0/models/{}/artifacts", model.model_id)
        );
        let path = model.artifact_uri.strip_prefix("mlflow-artifacts:/").unwrap();
        tracking
            .put_artifact(format!("{path}/MLmodel"), body("x"))
            .await
            .unwrap();
        let logged = Metric {
            model_id: Some(model.model_id.clone()),
            ..metric("acc", 0.9, 1, 1)
        };
        tracking.log_metric(run, logged).await.unwrap();
        let ready = tracking
            .finish_logged_model(model.model_id.clone(), 2)
            .await
            .unwrap();
        assert_eq!((ready.status, ready.metrics.len()), (2, 1));
        for (filter, count) in [
            ("name = 'net'", 1),
            ("metrics.acc > 0.5 AND params.lr = '0.1'", 1),
            ("metrics.acc > 0.95", 0),
            ("tags.x IS NULL", 1),
        ] {
            let search = LoggedModelSearch {
                experiment_ids: vec![0],
                scope: SearchScope {
                    filter: filter.into(),
                    ..SearchScope::default()
                },
                ..LoggedModelSearch::default()
            };
            let page = tracking.search_logged_models(search).await.unwrap();
            assert_eq!(page.items.len(), count, "{filter}");
        }
        tracking
            .delete_logged_model(model.model_id.clone())
            .await
            .unwrap();
        assert!(
            tracking
                .logged_model(model.model_id.clone(), false)
                .await
                .is_err()
        );
        assert!(tracking.logged_model(model.model_id, true).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn values_that_are_too_long_are_cut_as_mlflow_cuts_them() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let run = new_run(&tracking).await;
        // Characters are counted, whatever bytes each takes.
        let long = "\u{1F642}".repeat(8001);
        for _ in 0..2 {
            let param = KeyValue::new("p", &long);
            tracking.log_param(run.clone(), param.clone()).await.unwrap();
            let batch = Batch {
                params: vec![param],
                tags: vec![KeyValue::new("t", &long)],
                ..Batch::default()
            };
            tracking.log_batch(run.clone(), batch).await.unwrap();
        }
        let kept = tracking.run(run).await.unwrap();
        assert_eq!(kept.params[0].value.chars().count(), 6000);
        let tag = kept.tags.iter().find(|tag| tag.key == "t").unwrap();
        assert_eq!(tag.value.chars().count(), 8000);
    })
    .await;
}

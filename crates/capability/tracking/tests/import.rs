//! Moving in: what a source has comes here once, as it was there, whatever database holds it and however often it is sent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_testkit::metastore::for_each_backend;
use corliss_tracking::{
    DatasetInput, FinishedRun, ImportExperiment, ImportModel, ImportPoints, ImportRun, KeyValue,
    LifecycleStage, MIGRATIONS, Metric, ModelLink, NewRun, Purge, RunState, RunStatus, Tracking,
    TrackingError,
};
use support::{body, tracking_on};

const SOURCE: &str = "sqlite:////m.db";
const RUN: &str = "0123456789abcdef0123456789abcdef";

fn experiment(name: &str) -> ImportExperiment {
    ImportExperiment {
        source: SOURCE.to_owned(),
        source_id: "7".to_owned(),
        name: name.to_owned(),
        merge: false,
        lifecycle: LifecycleStage::Active,
        created_ms: Some(10),
        updated_ms: Some(20),
        tags: vec![KeyValue::new("team", "a")],
        dry_run: false,
    }
}

fn run(id: &str) -> ImportRun {
    ImportRun {
        run_id: id.to_owned(),
        name: "first".to_owned(),
        user: "ada".to_owned(),
        status: RunStatus::Failed,
        start_ms: 1000,
        end_ms: Some(2000),
        deleted_ms: None,
        params: vec![KeyValue::new("rate", "0.1")],
        tags: vec![
            KeyValue::new("mlflow.runName", "first"),
            KeyValue::new("k/x", "v"),
        ],
        datasets: vec![DatasetInput {
            name: "set".to_owned(),
            digest: "abc".to_owned(),
            source_type: "local".to_owned(),
            source: "{}".to_owned(),
            schema: None,
            profile: None,
            tags: vec![KeyValue::new("mlflow.data.context", "train")],
        }],
        models: vec![ModelLink {
            model_id: "m-1".to_owned(),
            output: true,
            step: 3,
        }],
        metrics: vec!["loss".to_owned()],
    }
}

fn points(id: &str, from: i64, count: i64) -> ImportPoints {
    let metrics = (from..from + count).map(|step| Metric {
        key: "loss".to_owned(),
        value: if step == 0 { f64::NAN } else { 1.0 / step as f64 },
        logged_ms: 1000 + step,
        step,
        model_id: None,
        dataset: None,
    });
    ImportPoints {
        run_id: id.to_owned(),
        metrics: metrics.collect(),
    }
}

fn finished(id: &str, digest: &str, deleted_ms: Option<i64>) -> Vec<FinishedRun> {
    vec![FinishedRun {
        run_id: id.to_owned(),
        digest: digest.to_owned(),
        deleted_ms,
    }]
}

async fn state(tracking: &Tracking, id: &str) -> Option<RunState> {
    tracking
        .import_state(vec![id.to_owned()], vec![])
        .await
        .unwrap()
        .runs
        .pop()
}

async fn begin(tracking: &Tracking, experiment: i64, run: ImportRun) -> Result<String, String> {
    let mut outcome = tracking
        .import_runs(SOURCE.into(), experiment, vec![run])
        .await
        .unwrap();
    match outcome.refused.pop() {
        Some(refused) => Err(refused.message),
        None => Ok(outcome.taken.pop().unwrap().artifact_uri),
    }
}

/// An experiment of the source that is moved in, by its number here.
async fn moved(tracking: &Tracking, wish: ImportExperiment) -> i64 {
    tracking.import_experiment(wish).await.unwrap().id.unwrap()
}

/// Moves the fixture run in with its points and a file, and finishes it.
async fn move_run(
    tracking: &Tracking,
    experiment: i64,
    points: Vec<ImportPoints>,
    file: (&str, &str),
    finished: Vec<FinishedRun>,
) {
    begin(tracking, experiment, run(RUN)).await.unwrap();
    for some in points {
        tracking.import_points(vec![some]).await.unwrap();
    }
    let path = format!("{experiment}/{RUN}/artifacts/{}", file.0);
    tracking.put_artifact(path, body(file.1)).await.unwrap();
    tracking.finish_import(finished).await.unwrap();
}

#[tokio::test]
async fn a_run_is_here_as_it_was_there_and_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let id = moved(&tracking, experiment("vision")).await;
        let made = tracking.experiment(id).await.unwrap();
        assert_eq!((made.created_ms, made.updated_ms, made.tags.len()), (10, 20, 1));
        assert_eq!(state(&tracking, RUN).await, None);

        let mut first = None;
        for _ in 0..2 {
            let uri = begin(&tracking, id, run(RUN)).await.unwrap();
            assert_eq!(uri, format!("mlflow-artifacts:/{id}/{RUN}/artifacts"));
            assert_eq!(state(&tracking, RUN).await.unwrap().digest.as_deref(), Some(""));
            // Cut off in the middle, and sent again from the beginning.
            let sent = vec![points(RUN, 0, 300), points(RUN, 0, 500)];
            move_run(&tracking, id, sent, ("a.txt", "hello"), finished(RUN, "d1", None)).await;
            let here = state(&tracking, RUN).await.unwrap();
            assert_eq!(
                (here.experiment_id, here.params.len(), here.tags.len()),
                (id, 1, 2)
            );
            assert_eq!((here.datasets.len(), here.models.len()), (1, 1));
            assert_eq!(here.points["loss"].count, 500);
            assert_eq!(
                (here.artifacts, here.artifact_bytes, here.digest.as_deref()),
                (1, 5, Some("d1"))
            );
            let found = tracking.run(RUN.into()).await.unwrap();
            assert_eq!(
                (found.info.status, found.info.user.as_str()),
                (RunStatus::Failed, "ada")
            );
            assert_eq!((found.info.start_ms, found.info.end_ms), (1000, Some(2000)));
            assert_eq!((found.metrics[0].step, found.models.len()), (499, 1));
            // What was moved in once is the same when it is moved in again.
            let text = format!("{found:?}");
            assert_eq!(*first.get_or_insert(text.clone()), text);
        }
        let again = tracking.import_experiment(experiment("vision")).await.unwrap();
        assert_eq!((again.id, again.created), (Some(id), false));
        // Renamed here, it is still where that experiment of the source goes.
        tracking.rename_experiment(id, "eyes".into()).await.unwrap();
        assert_eq!(
            tracking.import_experiment(experiment("vision")).await.unwrap().id,
            Some(id)
        );
    })
    .await;
}

#[tokio::test]
async fn a_deleted_run_gets_what_it_lacks_and_is_deleted_again() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let wish = ImportExperiment {
            lifecycle: LifecycleStage::Deleted,
            ..experiment("old")
        };
        let id = moved(&tracking, wish).await;
        assert_eq!(
            tracking.experiment(id).await.unwrap().lifecycle,
            LifecycleStage::Deleted
        );
        for digest in ["d1", "d2"] {
            let end = finished(RUN, digest, Some(3000));
            move_run(&tracking, id, vec![points(RUN, 0, 3)], (digest, "x"), end).await;
            assert_eq!(
                tracking.run(RUN.into()).await.unwrap().info.lifecycle,
                LifecycleStage::Deleted
            );
        }
        assert_eq!(state(&tracking, RUN).await.unwrap().artifacts, 2);
        // It goes when it would have gone where it came from, and can come again.
        let purged = tracking
            .purge(Purge {
                older_than_ms: 60_000,
                ..Purge::default()
            })
            .await
            .unwrap();
        assert_eq!((purged.runs, purged.experiments), (1, 1));
        let anew = tracking.import_experiment(experiment("old")).await.unwrap();
        assert!(anew.created && anew.id.unwrap() > id);
        begin(&tracking, anew.id.unwrap(), run(RUN)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_deleted_there_is_never_active_here() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let id = moved(&tracking, experiment("gone")).await;
        let stage = async || tracking.run(RUN.into()).await.unwrap().info.lifecycle;
        let path = |name: &str| format!("{id}/{RUN}/artifacts/{name}");
        for name in ["first", "again"] {
            let gone = ImportRun {
                deleted_ms: Some(3000),
                ..run(RUN)
            };
            begin(&tracking, id, gone).await.unwrap();
            assert_eq!(stage().await, LifecycleStage::Deleted);
            tracking.import_points(vec![points(RUN, 0, 3)]).await.unwrap();
            tracking.put_artifact(path(name), body("x")).await.unwrap();
            assert_eq!(stage().await, LifecycleStage::Deleted);
            tracking
                .finish_import(finished(RUN, name, Some(3000)))
                .await
                .unwrap();
            assert_eq!(stage().await, LifecycleStage::Deleted);
            // What is through takes files from nobody.
            assert!(tracking.put_artifact(path("late"), body("x")).await.is_err());
        }
        let state = state(&tracking, RUN).await.unwrap();
        assert_eq!((state.artifacts, state.points["loss"].count), (2, 3));
        assert_eq!((state.name.as_str(), state.user.as_str()), ("first", "ada"));
        assert_eq!(
            (state.status, state.start_ms, state.end_ms),
            (RunStatus::Failed, 1000, Some(2000))
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_here_is_not_taken_over() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let own = tracking
            .create_experiment("vision".into(), None, vec![KeyValue::new("team", "b")])
            .await
            .unwrap();
        // It is empty.
        let dry = ImportExperiment {
            dry_run: true,
            ..experiment("vision")
        };
        assert_eq!(
            tracking.import_experiment(dry.clone()).await.unwrap().id,
            Some(own)
        );
        let mine = tracking
            .create_run(NewRun {
                experiment_id: own,
                ..NewRun::default()
            })
            .await
            .unwrap()
            .info
            .run_id;
        for wish in [dry, experiment("vision")] {
            let taken = tracking.import_experiment(wish).await.unwrap_err();
            assert!(
                matches!(taken, TrackingError::ImportExperimentTaken(_)),
                "{taken}"
            );
        }
        let merged = ImportExperiment {
            merge: true,
            ..experiment("vision")
        };
        assert_eq!(tracking.import_experiment(merged).await.unwrap().id, Some(own));
        let tags = tracking.experiment(own).await.unwrap().tags;
        assert_eq!(tags, [KeyValue::new("team", "b")], "a tag that is here stays");

        let refused = begin(&tracking, own, run(&mine)).await.unwrap_err();
        assert!(refused.contains("was not moved in"), "{refused}");
        let not_begun = tracking
            .import_points(vec![points(&mine, 0, 1)])
            .await
            .unwrap_err();
        assert!(
            matches!(not_begun, TrackingError::ImportNotBegun(_)),
            "{not_begun}"
        );
        assert!(tracking.finish_import(finished(&mine, "d", None)).await.is_err());
        assert_eq!(
            tracking.run(mine.clone()).await.unwrap().info.status,
            RunStatus::Running
        );
        assert_eq!(state(&tracking, &mine).await.unwrap().digest, None);

        // A finished run keeps its parameters.
        begin(&tracking, own, run(RUN)).await.unwrap();
        tracking.finish_import(finished(RUN, "d1", None)).await.unwrap();
        let changed = ImportRun {
            params: vec![KeyValue::new("rate", "0.2")],
            name: "other".into(),
            ..run(RUN)
        };
        let refused = begin(&tracking, own, changed).await.unwrap_err();
        assert!(
            refused.contains("Changing param values is not allowed"),
            "{refused}"
        );
        assert_eq!(tracking.run(RUN.into()).await.unwrap().info.name, "first");
    })
    .await;
}

#[tokio::test]
async fn what_a_run_holds_is_told_by_digests() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let id = tracking
            .import_experiment(experiment("vision"))
            .await
            .unwrap()
            .id
            .unwrap();
        let other = "f".repeat(32);
        let changed = ImportRun {
            params: vec![KeyValue::new("rate", "0.2")],
            models: vec![],
            datasets: vec![],
            ..run(&other)
        };
        begin(&tracking, id, run(RUN)).await.unwrap();
        begin(&tracking, id, changed).await.unwrap();
        tracking.import_points(vec![points(RUN, 0, 300)]).await.unwrap();
        // The same points in another order, and then one of them with another value.
        for from in [200, 100, 0] {
            tracking
                .import_points(vec![points(&other, from, 100)])
                .await
                .unwrap();
        }
        let (one, two) = (
            state(&tracking, RUN).await.unwrap(),
            state(&tracking, &other).await.unwrap(),
        );
        assert_eq!((&one.tags, &one.points), (&two.tags, &two.points));
        assert_ne!(one.params, two.params);
        assert!(two.datasets.is_empty() && two.models.is_empty());
        let mut odd = points(&other, 7, 1);
        odd.metrics[0].value = 7.5;
        tracking.import_points(vec![odd]).await.unwrap();
        let two = state(&tracking, &other).await.unwrap();
        assert_eq!((two.points["loss"].count, one.points["loss"].count), (301, 300));
        assert_ne!(one.points, two.points);
    })
    .await;
}

#[tokio::test]
async fn two_imports_at_once_do_not_mix_up_what_they_move() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let id = tracking
            .import_experiment(experiment("vision"))
            .await
            .unwrap()
            .id
            .unwrap();
        // Nothing is in it yet, but it is spoken for.
        let second = ImportExperiment {
            source: "sqlite:////other.db".to_owned(),
            ..experiment("vision")
        };
        for dry_run in [true, false] {
            let wish = ImportExperiment {
                dry_run,
                ..second.clone()
            };
            let taken = tracking.import_experiment(wish).await.unwrap_err();
            assert!(
                matches!(taken, TrackingError::ImportExperimentTaken(_)),
                "{taken}"
            );
        }
        let aside = ImportExperiment {
            name: "aside".to_owned(),
            ..second
        };
        let aside = tracking.import_experiment(aside).await.unwrap().id.unwrap();
        begin(&tracking, id, run(RUN)).await.unwrap();
        let refused = begin(&tracking, aside, run(RUN)).await.unwrap_err();
        assert!(refused.contains("in the experiment 'vision'"), "{refused}");
        // Two imports of the same source: whoever is later adds what it has, and ends as well.
        tracking.import_points(vec![points(RUN, 0, 10)]).await.unwrap();
        tracking.finish_import(finished(RUN, "d1", None)).await.unwrap();
        tracking.import_points(vec![points(RUN, 0, 12)]).await.unwrap();
        tracking.finish_import(finished(RUN, "d1", None)).await.unwrap();
        assert_eq!(state(&tracking, RUN).await.unwrap().points["loss"].count, 12);
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_one_bad_run_spoils_no_other() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let dry = ImportExperiment {
            dry_run: true,
            ..experiment("vision")
        };
        let would = tracking.import_experiment(dry).await.unwrap();
        assert_eq!((would.id, would.created), (None, true));
        assert!(tracking.experiment_by_name("vision".into()).await.is_err());

        let id = moved(&tracking, experiment("vision")).await;
        let long = ImportRun {
            params: vec![KeyValue::new("p", "x".repeat(6001))],
            ..run("aa")
        };
        let odd = ImportRun {
            tags: vec![KeyValue::new("a;b", "x")],
            ..run("bb")
        };
        let climbing = run("../x");
        let unnamed = ImportRun {
            metrics: vec!["a;b".to_owned()],
            ..run("dd")
        };
        let outcome = tracking
            .import_runs(SOURCE.into(), id, vec![long, odd, climbing, unnamed, run(RUN)])
            .await
            .unwrap();
        let refused: Vec<&str> = outcome.refused.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(refused, ["bb", "../x", "dd"]);
        let taken: Vec<&str> = outcome.taken.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(taken, ["aa", RUN]);
        assert_eq!(state(&tracking, "bb").await, None);
        // What is logged is cut at 6,000 characters; what a source has is kept whole.
        let kept = tracking.run("aa".into()).await.unwrap();
        assert_eq!(kept.params[0].value.len(), 6001);

        let many = (0..201).map(|at| run(&format!("r{at}"))).collect();
        assert!(tracking.import_runs(SOURCE.into(), id, many).await.is_err());
        assert!(
            tracking
                .import_points(vec![points(RUN, 0, 20_001)])
                .await
                .is_err()
        );
        assert!(
            tracking
                .import_runs(SOURCE.into(), 99, vec![run("cc")])
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn a_logged_model_comes_once_and_keeps_what_it_got_here() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let tracking = tracking_on(store).await;
        let id = moved(&tracking, experiment("vision")).await;
        let metric = points(RUN, 1, 1).metrics.remove(0);
        let model = ImportModel {
            model_id: "m-1".to_owned(),
            name: "net".to_owned(),
            model_type: String::new(),
            source_run_id: RUN.to_owned(),
            status: 1,
            lifecycle: LifecycleStage::Active,
            created_ms: 5,
            updated_ms: 6,
            params: vec![KeyValue::new("p", "q")],
            tags: vec![KeyValue::new("t", "u")],
            metrics: vec![(
                RUN.to_owned(),
                Metric {
                    model_id: Some("m-1".to_owned()),
                    ..metric
                },
            )],
        };
        let outcome = tracking.import_models(id, vec![model.clone()]).await.unwrap();
        assert_eq!(
            outcome.taken[0].artifact_uri,
            format!("mlflow-artifacts:/{id}/models/m-1/artifacts")
        );
        tracking
            .describe_logged_model("m-1".into(), vec![], vec![KeyValue::new("t", "mine")])
            .await
            .unwrap();
        tracking
            .put_artifact(format!("{id}/models/m-1/artifacts/MLmodel"), body("abc"))
            .await
            .unwrap();
        let ready = ImportModel {
            status: 2,
            updated_ms: 9,
            ..model.clone()
        };
        let bad = ImportModel {
            model_id: "m-2".to_owned(),
            name: "a/b".to_owned(),
            ..model
        };
        let outcome = tracking.import_models(id, vec![bad, ready]).await.unwrap();
        assert_eq!((outcome.taken.len(), outcome.refused[0].id.as_str()), (1, "m-2"));
        let found = tracking.logged_model("m-1".into(), false).await.unwrap();
        assert_eq!((found.status, found.created_ms, found.updated_ms), (2, 5, 9));
        assert_eq!(
            (found.metrics.len(), found.tags),
            (1, vec![KeyValue::new("t", "mine")])
        );
        let here = tracking
            .import_state(vec![], vec!["m-1".into(), "m-2".into()])
            .await
            .unwrap()
            .models;
        assert_eq!((here.len(), here[0].artifacts, here[0].artifact_bytes), (1, 1, 3));
    })
    .await;
}

//! Stores in folders: what the files say comes out, and what is wrong with one is told by its name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use corliss_mlflow_store::{Location, MlflowStore, Pair, Remark, open};

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// As MLflow 3.17 writes it.
fn store() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("mlruns");
    for (path, text) in [
        (
            "0/meta.yaml",
            "experiment_id: '0'\nlifecycle_stage: active\nname: Default\n",
        ),
        (
            "7/meta.yaml",
            "artifact_location: file:///elsewhere/7\ncreation_time: 10\nexperiment_id: '7'\nlast_update_time: 20\n\
             lifecycle_stage: active\nname: 'it''s: vision'\ntags: {}\nworkspace: default\n",
        ),
        ("7/tags/team", "a: b"),
        (
            "7/r1/meta.yaml",
            "artifact_uri: file:///elsewhere/7/r1/artifacts\nend_time: 2000\nexperiment_id: '7'\n\
             lifecycle_stage: active\nrun_id: r1\nrun_name: \"first\\tone\"\nstart_time: 1000\nstatus: 3\ntags: []\n\
             user_id: ada\n",
        ),
        ("7/r1/params/lr/rate", "0.1"),
        ("7/r1/params/lines", "a\nb\n"),
        ("7/r1/tags/k/x", "v"),
        ("7/r1/metrics/val/loss", "1000 1.0 0\n1001 0.5 1\n1000 1.0 0\n"),
        (
            "7/r1/metrics/bad",
            "5 -inf 0\n3 nan 0\n4 inf 0\n3 nan 0\n3 0.0 0\n2 1e-05\n",
        ),
        ("7/r1/artifacts/a.txt", "hello"),
        (
            "7/r1/inputs/i1/meta.yaml",
            "destination_id: d1\ndestination_type: RUN\nsource_id: d1\nsource_type: DATASET\ntags:\n  \
             mlflow.data.context: train\n",
        ),
        (
            "7/datasets/d1/meta.yaml",
            "digest: abc\nname: set\nprofile: null\nschema: '{\"a\": 1}'\nsource: '{\"tags\": {\"b\": \"c\",\n  \
             \"d\": \"e\"}}'\nsource_type: code\n",
        ),
        (
            "7/r1/outputs/m-1/meta.yaml",
            "destination_id: m-1\ndestination_type: MODEL_OUTPUT\nsource_id: m-1\nsource_type: RUN_OUTPUT\nstep: 7\n\
             tags: {}\n",
        ),
        (
            "7/models/m-1/meta.yaml",
            "artifact_location: s3://b/7/models/m-1/artifacts\ncreation_timestamp: 5\nlast_updated_timestamp: 6\n\
             model_id: m-1\nmodel_type: null\nname: net\nsource_run_id: r1\nstatus: 2\n",
        ),
        ("7/models/m-1/metrics/acc", "9 0.5 3 r1 set abc\n10 0.75 4 r1\n"),
        (
            "7/r2/meta.yaml",
            "deleted_time: 3000\nend_time: null\nlifecycle_stage: deleted\nrun_id: r2\nrun_name: gone\n\
             start_time: 1001\nstatus: FAILED\nuser_id: unknown\n",
        ),
        (
            ".trash/9/meta.yaml",
            "experiment_id: '9'\nlifecycle_stage: deleted\nname: old\n",
        ),
        (
            "models/net/meta.yaml",
            "aliases:\n  live: '2'\ncreation_timestamp: 7\ndescription: null\nlast_updated_timestamp: 8\nname: net\n",
        ),
        ("models/net/aliases/live", "2"),
        ("models/net/tags/k", "v"),
        (
            "models/net/version-2/meta.yaml",
            "creation_timestamp: 7\ncurrent_stage: Production\ndescription: second\nlast_updated_timestamp: 8\n\
             name: net\nrun_id: r1\nrun_link: null\nsource: models:/m-1\nstorage_location: s3://b\nversion: 2\n",
        ),
        (
            "models/net/version-1/meta.yaml",
            "current_stage: Deleted_Internal\nname: net\nversion: 1\n",
        ),
    ] {
        write(&root, path, text);
    }
    (home, root)
}

fn opened(root: &Path) -> Box<dyn MlflowStore> {
    open(&Location::Folder(root.to_owned()), "default", &mut |_| ()).unwrap()
}

fn values(store: &mut dyn MlflowStore, run: &str, key: &str) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    store
        .points("7", run, &mut |point| {
            if point.key == key {
                found.push((point.logged_ms, format!("{:?}", point.value)));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn what_was_logged_is_read() {
    let (_home, root) = store();
    let mut store = opened(&root);
    let experiments = store.experiments().unwrap();
    let names: Vec<(&str, bool)> = experiments
        .iter()
        .map(|one| (one.name.as_str(), one.is_deleted))
        .collect();
    assert_eq!(
        names,
        [("Default", false), ("it's: vision", false), ("old", true)]
    );
    assert_eq!(experiments[1].tags, [Pair::new("team", "a: b")]);
    assert_eq!(
        (experiments[1].created_ms, experiments[1].updated_ms),
        (Some(10), Some(20))
    );
    assert_eq!(store.run_ids("7").unwrap(), ["r1", "r2"]);

    let runs = store
        .runs("7", &["r1".into(), "r2".into(), "absent".into()])
        .unwrap();
    let (first, gone) = (&runs[0], &runs[1]);
    assert_eq!(
        (runs.len(), first.name.as_str(), first.status.as_str()),
        (2, "first\tone", "FINISHED")
    );
    assert_eq!(
        (first.start_ms, first.end_ms, first.user.as_str()),
        (1000, Some(2000), "ada")
    );
    assert_eq!(
        first.params,
        [Pair::new("lines", "a\nb\n"), Pair::new("lr/rate", "0.1")]
    );
    assert_eq!(
        first.tags,
        [Pair::new("k/x", "v"), Pair::new("mlflow.runName", "first\tone")]
    );
    assert_eq!(
        first.artifact_uri,
        root.join("7/r1/artifacts").display().to_string()
    );
    let dataset = &first.datasets[0];
    assert_eq!(
        (dataset.name.as_str(), dataset.schema.as_deref()),
        ("set", Some("{\"a\": 1}"))
    );
    assert_eq!(dataset.source, "{\"tags\": {\"b\": \"c\", \"d\": \"e\"}}");
    assert_eq!((dataset.profile.as_deref(), dataset.tags.len()), (None, 1));
    assert_eq!(
        (first.models.len(), first.models[0].output, first.models[0].step),
        (1, true, 7)
    );
    assert_eq!(
        (gone.status.as_str(), gone.is_deleted, gone.deleted_ms),
        ("FAILED", true, Some(3000))
    );

    assert_eq!(
        values(store.as_mut(), "r1", "bad"),
        [(2, "1e-5"), (3, "0.0"), (3, "NaN"), (4, "inf"), (5, "-inf")]
            .map(|(ms, text)| (ms, text.to_owned()))
    );
    assert_eq!(values(store.as_mut(), "r1", "val/loss").len(), 2);

    let model = &store.logged_models("7").unwrap()[0];
    assert_eq!(
        (model.model_id.as_str(), model.artifact_uri.as_str()),
        ("m-1", "s3://b/7/models/m-1/artifacts")
    );
    assert_eq!(model.metrics[0].dataset, Some(("set".into(), "abc".into())));
    assert_eq!(
        (
            model.metrics[1].run_id.as_str(),
            model.metrics[1].dataset.as_ref()
        ),
        ("r1", None)
    );

    let registered = &store.registered_models().unwrap()[0];
    assert_eq!((registered.aliases["live"], registered.tags.len()), (2, 1));
    let versions = store.versions("net").unwrap();
    assert_eq!(
        (versions.len(), versions[0].version, versions[0].stage.as_str()),
        (1, 2, "Production")
    );
    assert_eq!(versions[0].source, "models:/m-1");
}

/// Where the artifacts of the only run of experiment 7 are looked for, if its description says `said`.
fn place_of(root: &Path, said: &str) -> String {
    let meta = format!("artifact_uri: {said}\nlifecycle_stage: active\nrun_id: r2\nstatus: 3\n");
    write(root, "7/r2/meta.yaml", &meta);
    fs::create_dir_all(root.join("7/r2/artifacts")).unwrap();
    opened(root)
        .runs("7", &["r2".to_owned()])
        .unwrap()
        .remove(0)
        .artifact_uri
}

#[test]
fn artifacts_lie_where_the_description_says_and_an_empty_folder_proves_nothing() {
    let (home, root) = store();
    let own = root.join("7/r2/artifacts").display().to_string();
    let elsewhere = home.path().join("abs 1/r2/artifacts");
    fs::create_dir_all(&elsewhere).unwrap();
    let shown = elsewhere.display().to_string();
    assert_eq!(place_of(&root, &shown), shown);
    assert_eq!(
        place_of(&root, &format!("file://{}", shown.replace(' ', "%20"))),
        shown
    );
    // Beside the store, and nowhere: the address goes on, so that it can be told.
    let relative = PathBuf::from(place_of(&root, "./abs 1/r2/artifacts"));
    assert_eq!(
        relative.canonicalize().unwrap(),
        elsewhere.canonicalize().unwrap()
    );
    assert!(place_of(&root, "./gone/r2/artifacts").ends_with("/gone/r2/artifacts"));
    assert_eq!(place_of(&root, "/gone/r2/artifacts"), "/gone/r2/artifacts");
    assert_eq!(
        place_of(&root, "file:///gone/7/r2/artifacts"),
        "/gone/7/r2/artifacts"
    );
    assert_eq!(place_of(&root, "s3://b/7/r2/artifacts"), "s3://b/7/r2/artifacts");
    // The whole store lay on another machine, and the run has none.
    assert_eq!(place_of(&root, "file:///other/mlruns/7/r2/artifacts"), own);
    // What is in its own folder can have come from nowhere else.
    write(&root, "7/r2/artifacts/a.txt", "a");
    assert_eq!(place_of(&root, &shown), own);
}

#[test]
fn a_long_history_is_read_to_its_end() {
    let (_home, root) = store();
    let lines: String = (0..250_000)
        .map(|at| format!("{} {}.5 {at}\n", 1000 + at, at))
        .collect();
    write(&root, "7/r2/metrics/long", &lines);
    let mut store = opened(&root);
    let found = values(store.as_mut(), "r2", "long");
    assert_eq!((found.len(), found[249_999].0), (250_000, 250_999));
}

/// What is said of a store in which a file was changed, of which the rest is read.
fn told(path: &str, text: &str) -> Vec<Remark> {
    let (_home, root) = store();
    write(&root, path, text);
    let mut store = opened(&root);
    for experiment in store.experiments().unwrap() {
        let ids = store.run_ids(&experiment.id).unwrap();
        for run in store.runs(&experiment.id, &ids).unwrap() {
            let read = store.points(&experiment.id, &run.run_id, &mut |_| ControlFlow::Continue(()));
            assert!(read.is_ok() || path.contains("metrics"), "{read:?}");
        }
        store.logged_models(&experiment.id).unwrap();
    }
    for model in store.registered_models().unwrap() {
        store.versions(&model.name).unwrap();
    }
    store.remarks()
}

fn left_out(path: &str, text: &str) -> String {
    match told(path, text).as_slice() {
        [Remark::LeftOut(said)] => {
            assert!(said.contains(path), "{said} does not name {path}");
            said.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_damaged_is_left_out_and_told_by_its_file() {
    assert_eq!(told("7/r1/params/new", "x"), []);
    for (text, problem) in [
        ("name: 'open\n", "not valid YAML"),
        ("- a\n- b\n", "no map"),
        ("just text", "no map"),
        ("", "does not say 'name'"),
        ("name: x\ncreation_time: soon\n", "its 'creation_time' is 'soon'"),
    ] {
        let said = left_out("7/meta.yaml", text);
        assert!(
            said.starts_with("experiment 7: ") && said.contains(problem),
            "{said}"
        );
    }
    for (text, problem) in [
        ("status: 9\n", "its 'status' is '9'"),
        ("run_id: r1\n", "does not say 'status'"),
    ] {
        let said = left_out("7/r1/meta.yaml", text);
        assert!(said.starts_with("run r1: ") && said.contains(problem), "{said}");
    }
    let said = left_out("7/models/m-1/metrics/acc", "9 0.5 3\n");
    assert!(said.starts_with("logged model m-1: "), "{said}");
    let said = left_out("models/net/aliases/live", "two");
    assert!(said.contains("'two' is no version"), "{said}");
    let said = left_out("models/net/version-2/meta.yaml", "name: net\n");
    assert!(said.starts_with("version-2 of model 'net': "), "{said}");
    for folder in ["7/r9", "8"] {
        let what = if folder == "8" { "experiment" } else { "run" };
        let remarks = told(&format!("{folder}/params/a"), "1");
        let [Remark::LeftOut(said)] = remarks.as_slice() else {
            panic!("{remarks:?}")
        };
        let expected = format!("{folder}: it has no meta.yaml, without which it is no {what}");
        assert!(said.ends_with(&expected), "{said}");
    }
    assert_eq!(told(".ipynb_checkpoints/x", "1"), []);
}

#[test]
fn a_damaged_point_is_told_by_its_line() {
    for (text, problem) in [
        ("1 2 3\n1\n", "line 2 has no value"),
        ("soon 1 1\n", "line 1 has 'soon' as its time"),
        ("1 much 1\n", "line 1 has 'much' as its value"),
        ("1 1 one\n", "line 1 has 'one' as its step"),
        (&"1".repeat(10_000), "line 1 is too long"),
    ] {
        let (_home, root) = store();
        write(&root, "7/r1/metrics/bad", text);
        let error = opened(&root)
            .points("7", "r1", &mut |_| ControlFlow::Continue(()))
            .unwrap_err();
        assert!(error.is_of_a_part());
        assert!(error.to_string().contains("7/r1/metrics/bad"), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn half_a_line_is_no_point_until_its_writer_ends_it() {
    let (_home, root) = store();
    write(&root, "7/r1/metrics/live", "1 0.5 0\n2 0.12");
    let mut store = opened(&root);
    for _ in 0..2 {
        assert_eq!(values(store.as_mut(), "r1", "live"), [(1, "0.5".to_owned())]);
    }
    let path = root.join("7/r1/metrics/live");
    assert_eq!(store.remarks(), [Remark::Unfinished(path)], "once");
    write(&root, "7/r1/metrics/live", "1 0.5 0\n2 0.125 1\n");
    assert_eq!(values(store.as_mut(), "r1", "live").len(), 2);
    let half = told("7/models/m-1/metrics/acc", "9 0.5 3 r1\n10 0.75 4 r");
    assert!(matches!(half.as_slice(), [Remark::Unfinished(_)]), "{half:?}");
}

#[test]
fn a_folder_has_no_workspaces() {
    let (_home, root) = store();
    let error = open(&Location::Folder(root), "other", &mut |_| ()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the store has no workspace 'other': a folder has no workspaces"
    );
}

#[test]
fn a_folder_without_experiments_and_a_link_are_no_store() {
    let home = tempfile::tempdir().unwrap();
    let empty = open(&Location::Folder(home.path().to_owned()), "default", &mut |_| ())
        .err()
        .unwrap();
    assert!(empty.to_string().contains("holds no experiment"), "{empty}");
    let (_home, root) = store();
    std::os::unix::fs::symlink("/etc", root.join("7/r1/params/etc")).unwrap();
    let run = &opened(&root).runs("7", &["r1".into()]).unwrap()[0];
    assert_eq!(run.params.len(), 2, "what a link leads to is not the store's");
}

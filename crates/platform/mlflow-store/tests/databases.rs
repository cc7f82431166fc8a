//! Stores in databases: what their rows say comes out, whatever database holds them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::ops::ControlFlow;
use std::path::Path;

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_mlflow_store::{Location, MlflowStore, ModelLink, Pair, Point, Remark, SourceError, open};
use corliss_testkit::postgres;
use rusqlite::Connection;
use tokio_postgres::NoTls;

const SCHEMA: &str = include_str!("schema.sql");

fn sqlite(folder: &Path, sql: &str) -> Location {
    let file = folder.join("mlflow.db");
    Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    Location::Sqlite(file)
}

/// A database of a real server with these tables; none where the suite is told to do without.
fn on_postgres(sql: &str) -> Option<Location> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let url = runtime.block_on(async {
        let url = postgres::fresh_database().await?;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        Some(url)
    });
    url.map(Location::Postgres)
}

fn everywhere(suite: impl Fn(&mut dyn MlflowStore)) {
    let folder = tempfile::tempdir().unwrap();
    let places = [Some(sqlite(folder.path(), SCHEMA)), on_postgres(SCHEMA)];
    for location in places.into_iter().flatten() {
        eprintln!("store: {location}");
        suite(open(&location, "default", &mut |_| ()).unwrap().as_mut());
    }
}

fn points(store: &mut dyn MlflowStore, run: &str) -> Vec<Point> {
    let mut found = Vec::new();
    store
        .points("1", run, &mut |point| {
            found.push(point);
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn what_was_logged_is_read() {
    everywhere(|store| {
        let experiments = store.experiments().unwrap();
        let names: Vec<&str> = experiments.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            ["Default", "old", "vision"],
            "another workspace's are left out"
        );
        let (old, vision) = (&experiments[1], &experiments[2]);
        assert!(old.is_deleted && old.created_ms.is_none());
        assert_eq!(
            (vision.id.as_str(), vision.created_ms, vision.updated_ms),
            ("1", Some(10), Some(20))
        );
        assert_eq!(vision.tags, [Pair::new("team", "a")]);
        assert_eq!(store.run_ids("1").unwrap(), ["r1", "r2"]);
        assert!(store.run_ids("0").unwrap().is_empty());

        let runs = store
            .runs("1", &["r1".into(), "r2".into(), "absent".into()])
            .unwrap();
        assert_eq!(runs.len(), 2);
        let (first, gone) = (&runs[0], &runs[1]);
        assert_eq!(
            (first.name.as_str(), first.user.as_str(), first.status.as_str()),
            ("first", "ada", "FINISHED")
        );
        assert_eq!(
            (first.start_ms, first.end_ms, first.is_deleted),
            (1000, Some(2000), false)
        );
        assert_eq!(first.params, [Pair::new("a", "x"), Pair::new("lr/rate", "0.1")]);
        assert_eq!(
            first.tags,
            [Pair::new("empty", ""), Pair::new("mlflow.runName", "first")]
        );
        assert_eq!(
            (gone.status.as_str(), gone.end_ms, gone.deleted_ms),
            ("FAILED", None, Some(3000))
        );
        assert!(gone.is_deleted && gone.user.is_empty());

        let dataset = &first.datasets[0];
        assert_eq!(
            (
                first.datasets.len(),
                dataset.name.as_str(),
                dataset.digest.as_str()
            ),
            (1, "set", "abc")
        );
        assert_eq!(
            (dataset.schema.as_deref(), dataset.profile.as_deref()),
            (None, Some("{\"rows\": 1}"))
        );
        assert_eq!(
            dataset.tags,
            [Pair::new("mlflow.data.context", "train"), Pair::new("other", "y")]
        );
        let link = |model_id: &str, output, step| ModelLink {
            model_id: model_id.into(),
            output,
            step,
        };
        assert_eq!(first.models, [link("m-0", false, 0), link("m-1", true, 7)]);
        assert_eq!(*first, store.runs("1", &["r1".into()]).unwrap()[0]);
        assert_eq!(store.remarks(), []);
    });
}

#[test]
fn points_come_in_order_and_no_number_is_lost() {
    everywhere(|store| {
        let found = points(store, "r1");
        let seen: Vec<(&str, i64, String)> = found
            .iter()
            .map(|point| (point.key.as_str(), point.logged_ms, format!("{:?}", point.value)))
            .collect();
        let expected = [
            ("bad", 3, "0.0"),
            ("bad", 3, "NaN"),
            ("bad", 4, "inf"),
            ("bad", 5, "-inf"),
            ("loss", 1, "0.5"),
            ("loss", 2, "0.25"),
        ];
        assert_eq!(seen, expected.map(|(key, ms, value)| (key, ms, value.to_owned())));
        // A reader that has seen enough is not made to read on, and the store is as good as before.
        let mut count = 0;
        store
            .points("1", "r1", &mut |_| {
                count += 1;
                ControlFlow::Break(())
            })
            .unwrap();
        assert_eq!((count, points(store, "r1").len()), (1, 6));
    });
}

#[test]
fn a_long_history_is_read_to_its_end() {
    let many = "
        INSERT INTO metrics
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 249999)
        SELECT 'long', i * 0.5, 1000 + i, 'r2', i, FALSE FROM n;";
    let sql = format!("{SCHEMA}{many}");
    let folder = tempfile::tempdir().unwrap();
    for location in [Some(sqlite(folder.path(), &sql)), on_postgres(&sql)]
        .into_iter()
        .flatten()
    {
        let mut store = open(&location, "default", &mut |_| ()).unwrap();
        let mut next = 0_i64;
        store
            .points("1", "r2", &mut |point| {
                assert_eq!((point.step, point.logged_ms), (next, 1000 + next));
                next += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(next, 250_000, "{location}");
    }
}

#[test]
fn models_and_their_versions_are_read() {
    everywhere(|store| {
        let models = store.logged_models("1").unwrap();
        let model = &models[0];
        assert_eq!(
            (models.len(), model.model_id.as_str(), model.status),
            (1, "m-1", 2)
        );
        assert_eq!(
            (model.source_run_id.as_str(), model.model_type.as_str()),
            ("r1", "")
        );
        assert_eq!((model.params.len(), model.tags.len()), (1, 1));
        let metric = &model.metrics[0];
        assert_eq!(
            (metric.run_id.as_str(), metric.point.value, metric.point.step),
            ("r1", 0.5, 3)
        );
        assert_eq!(metric.dataset, Some(("set".into(), "abc".into())));
        assert!(store.logged_models("0").unwrap().is_empty());

        let registered = store.registered_models().unwrap();
        assert_eq!(registered.len(), 1, "another workspace's is left out");
        let net = &registered[0];
        assert_eq!(
            (net.name.as_str(), net.description.as_str(), net.created_ms),
            ("net", "a net", 7)
        );
        assert_eq!(net.aliases, [("live".to_owned(), 2)].into());
        assert_eq!(net.tags, [Pair::new("k", "v")]);
        let versions = store.versions("net").unwrap();
        assert_eq!(versions.len(), 1, "a version that was deleted is none");
        let second = &versions[0];
        assert_eq!(
            (second.version, second.stage.as_str(), second.source.as_str()),
            (2, "Production", "models:/m-1")
        );
        assert_eq!(
            (second.run_id.as_deref(), second.run_link.as_str()),
            (Some("r1"), "http://x")
        );
        assert_eq!(second.tags, [Pair::new("vk", "vv")]);
    });
}

#[test]
fn another_workspace_is_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&sqlite(folder.path(), SCHEMA), "other", &mut |_| ()).unwrap();
    let experiments = store.experiments().unwrap();
    assert_eq!((experiments.len(), experiments[0].id.as_str()), (1, "3"));
    assert_eq!(store.registered_models().unwrap()[0].name, "hidden");
}

fn refusal(sql: &str) -> SourceError {
    let folder = tempfile::tempdir().unwrap();
    open(&sqlite(folder.path(), sql), "default", &mut |_| ())
        .err()
        .unwrap()
}

#[test]
fn what_is_no_store_or_too_old_is_refused_by_name() {
    let no_table = refusal("CREATE TABLE x (y INTEGER);");
    assert_eq!(
        no_table.to_string(),
        "the database has no table experiments, which MLflow's schema has"
    );
    let old = SCHEMA
        .replace(", deleted_time BIGINT);", ");")
        .replace(", 1, NULL),", ", 1),")
        .replace(", 1, 3000);", ", 1);");
    let no_column = refusal(&old);
    assert_eq!(
        no_column.to_string(),
        "the database has no column deleted_time in table runs, which MLflow's schema has"
    );
    assert!(no_column.hint().unwrap().contains("mlflow db upgrade"));
    let half = refusal(&format!("{SCHEMA} DROP TABLE logged_model_tags;"));
    assert!(half.to_string().contains("table logged_model_tags"), "{half}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.db");
    std::fs::write(
        &file,
        "this is no database, and long enough to be looked at as one".repeat(20),
    )
    .unwrap();
    let no_database = open(&Location::Sqlite(file.clone()), "default", &mut |_| ())
        .err()
        .unwrap();
    assert_eq!(no_database.code(), "import_database", "{no_database}");
    assert_eq!(no_database.meaning(), Meaning::InvalidInput);
    assert!(no_database.to_string().contains("text.db"), "{no_database}");
    let absent = open(
        &Location::Sqlite(folder.path().join("absent.db")),
        "default",
        &mut |_| (),
    )
    .err()
    .unwrap();
    assert!(absent.to_string().contains("absent.db"), "{absent}");
    assert!(!folder.path().join("absent.db").exists());
    let nobody = open(
        &Location::Postgres("postgresql://a@127.0.0.1:1/x".into()),
        "default",
        &mut |_| (),
    )
    .err()
    .unwrap();
    assert_eq!(nobody.code(), "import_database", "{nobody}");
}

#[test]
fn tables_that_came_later_may_be_absent() {
    let folder = tempfile::tempdir().unwrap();
    let old = "DROP TABLE inputs; DROP TABLE datasets; DROP TABLE input_tags; DROP TABLE logged_models;
        DROP TABLE logged_model_params; DROP TABLE logged_model_tags; DROP TABLE logged_model_metrics;
        DROP TABLE registered_model_aliases; ALTER TABLE experiments DROP COLUMN workspace;
        ALTER TABLE registered_models DROP COLUMN workspace; ALTER TABLE registered_model_tags DROP COLUMN workspace;
        ALTER TABLE model_versions DROP COLUMN workspace; ALTER TABLE model_version_tags DROP COLUMN workspace;";
    let mut store = open(
        &sqlite(folder.path(), &format!("{SCHEMA}{old}")),
        "default",
        &mut |_| (),
    )
    .unwrap();
    assert_eq!(store.experiments().unwrap().len(), 4);
    let run = &store.runs("1", &["r1".into()]).unwrap()[0];
    assert!(run.datasets.is_empty() && run.models.is_empty());
    assert!(store.logged_models("1").unwrap().is_empty());
    assert!(
        store
            .registered_models()
            .unwrap()
            .iter()
            .all(|model| model.aliases.is_empty())
    );
    assert_eq!(store.versions("net").unwrap().len(), 1);
}

#[test]
fn a_table_that_must_be_there_is_missed() {
    let gone = "DROP TABLE logged_models; DROP TABLE logged_model_params; DROP TABLE logged_model_tags;
        DROP TABLE logged_model_metrics;";
    let error = refusal(&format!("{SCHEMA}{gone}"));
    assert!(error.to_string().contains("no table logged_models"), "{error}");
}

#[test]
fn a_workspace_that_is_not_there_is_told_by_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let location = sqlite(folder.path(), SCHEMA);
    let error = open(&location, "othr", &mut |_| ()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the store has no workspace 'othr': it has default, other"
    );
    let sql = "ALTER TABLE experiments DROP COLUMN workspace;";
    let Location::Sqlite(file) = &location else {
        panic!()
    };
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
    let error = open(&location, "other", &mut |_| ()).err().unwrap();
    assert!(error.to_string().contains("older than workspaces"), "{error}");
}

#[test]
fn a_row_that_is_wrong_is_told_by_its_column() {
    let folder = tempfile::tempdir().unwrap();
    let sql = format!("{SCHEMA} INSERT INTO metrics VALUES ('odd', 'many', 1, 'r1', 0, FALSE);");
    let mut store = open(&sqlite(folder.path(), &sql), "default", &mut |_| ()).unwrap();
    let error = store
        .points("1", "r1", &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(error.is_of_a_part());
    assert_eq!(
        error.to_string(),
        "in table metrics, column value holds a text, not a number"
    );
}

#[test]
fn a_row_that_is_wrong_costs_what_it_belongs_to_and_nothing_else() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&sqlite(folder.path(), SCHEMA), "default", &mut |_| ()).unwrap();
        store.runs("1", &["r1".into(), "r2".into()]).unwrap()
    };
    for (sql, told) in [
        (
            "INSERT INTO params VALUES ('p', x'ff00', 'r1');",
            "run r1: in table params, column value holds bytes that are no text in UTF-8",
        ),
        (
            "INSERT INTO tags VALUES ('t', 0.5, 'r1');",
            "run r1: in table tags, column value holds a number, not a text",
        ),
        (
            "UPDATE runs SET start_time = 'soon' WHERE run_uuid = 'r1';",
            "run r1: in table runs, column start_time holds something else than a whole number",
        ),
        (
            "UPDATE runs SET status = 'DONE' WHERE run_uuid = 'r1';",
            "run r1: in table runs, column status holds 'DONE', which is none of a run",
        ),
        (
            "UPDATE inputs SET step = 'x' WHERE input_uuid = 'i2';",
            "run r1: in table inputs, column step holds something else than a whole number",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // SQLite keeps in a column what it is given.
        let sql = format!("{}{sql}", SCHEMA.replace("VARCHAR(8000)", "BLOB"));
        let mut store = open(&sqlite(folder.path(), &sql), "default", &mut |_| ()).unwrap();
        let found = store.runs("1", &["r1".into(), "r2".into()]).unwrap();
        assert_eq!(found, whole[1..], "{told}");
        assert_eq!(store.remarks(), [Remark::LeftOut(told.to_owned())]);
        assert_eq!(store.remarks(), [], "once");
    }
    let folder = tempfile::tempdir().unwrap();
    let sql = format!(
        "{SCHEMA} UPDATE experiments SET creation_time = 'x' WHERE experiment_id = 2;
         UPDATE logged_models SET status = 'x'; UPDATE registered_model_aliases SET version = 'x';"
    );
    let mut store = open(&sqlite(folder.path(), &sql), "default", &mut |_| ()).unwrap();
    assert_eq!(store.experiments().unwrap().len(), 2);
    assert!(store.logged_models("1").unwrap().is_empty());
    assert!(store.registered_models().unwrap().is_empty());
    let told: Vec<String> = store.remarks().iter().map(|one| format!("{one:?}")).collect();
    for (said, part) in told
        .iter()
        .zip(["experiment 2: ", "logged model m-1: ", "registered model net: "])
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(told.len(), 3);
}

#[test]
fn a_locked_file_is_waited_for_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let location = sqlite(folder.path(), SCHEMA);
    let Location::Sqlite(file) = &location else {
        panic!()
    };
    let writer = Connection::open(file).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut said = Vec::new();
    let mut store = open(&location, "default", &mut |text| {
        said.push(text.to_owned());
        writer.execute_batch("ROLLBACK").unwrap();
    })
    .unwrap();
    assert_eq!(store.experiments().unwrap().len(), 3);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("mlflow.db is locked by another process"),
        "{said:?}"
    );
}

#[test]
fn what_is_written_meanwhile_is_not_read_by_halves() {
    let folder = tempfile::tempdir().unwrap();
    let location = sqlite(folder.path(), &format!("PRAGMA journal_mode = WAL; {SCHEMA}"));
    let Location::Sqlite(file) = &location else {
        panic!()
    };
    let writer = Connection::open(file).unwrap();
    let mut store = open(&location, "default", &mut |_| ()).unwrap();
    let before = points(store.as_mut(), "r1").len();
    writer
        .execute_batch("INSERT INTO metrics VALUES ('late', 1, 1, 'r1', 0, FALSE); DELETE FROM params;")
        .unwrap();
    assert_eq!(points(store.as_mut(), "r1").len(), before);
    assert_eq!(store.runs("1", &["r1".into()]).unwrap()[0].params.len(), 2);
    let mut later = open(&location, "default", &mut |_| ()).unwrap();
    assert_eq!(points(later.as_mut(), "r1").len(), before + 1);
}

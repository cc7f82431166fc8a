//! What is particular to a SQLite file: group commit, ownership, survival, a full disk.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::{Metastore, MetastoreConfig, Migrations, StoreError, Tx, params};
use corliss_testkit::full_disk::tiny_disk;

const STEPS: &[&str] = &["CREATE TABLE test_item (id BIGINT NOT NULL PRIMARY KEY, body TEXT)"];
const MIGRATIONS: &[Migrations] = &[Migrations {
    component: "test",
    steps: STEPS,
}];

async fn open(folder: &Path) -> Result<Metastore, StoreError> {
    Metastore::open(
        &MetastoreConfig::Sqlite {
            path: folder.join("meta.db"),
        },
        MIGRATIONS,
    )
    .await
}

fn insert(tx: &mut dyn Tx, id: i64, body: &str) -> Result<u64, StoreError> {
    tx.execute(
        "INSERT INTO test_item (id, body) VALUES ($1, $2)",
        params![id, body],
    )
}

async fn write(store: &Metastore, id: i64, body: String) -> Result<u64, StoreError> {
    store.write(move |tx| insert(tx, id, &body)).await
}

async fn count(store: &Metastore) -> i64 {
    store
        .read(|tx| {
            tx.query_one("SELECT COUNT(*) AS n FROM test_item", &[])?
                .integer("n")
        })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_queue_up_share_a_commit_and_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let before = store.counters();
    // Holds the writer until the others have queued up, so that grouping does not depend on timing.
    let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
    let blocker = {
        let (store, held, release) = (store.clone(), Arc::clone(&held), Arc::clone(&release));
        tokio::spawn(async move {
            store
                .write(move |_| {
                    held.store(true, Ordering::SeqCst);
                    release.wait();
                    Ok::<_, StoreError>(())
                })
                .await
        })
    };
    while !held.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let mut writers: Vec<_> = (0..100)
        .map(|index| {
            let store = store.clone();
            // 80 distinct keys: 20 of the 100 must fail, each alone.
            Box::pin(async move { write(&store, index % 80, "x".to_owned()).await })
        })
        .collect();
    // One poll each queues the closure; then the writer is let go.
    for writer in &mut writers {
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(writer.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    tokio::task::spawn_blocking(move || release.wait()).await.unwrap();
    blocker.await.unwrap().unwrap();
    let mut failed = 0;
    for writer in writers {
        match writer.await {
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_unique_violation(), "{error:?}");
                failed += 1;
            }
        }
    }
    let after = store.counters();
    assert_eq!(failed, 20);
    assert_eq!(count(&store).await, 80);
    assert_eq!(after.writes - before.writes, 81);
    assert_eq!(
        after.commits - before.commits,
        2,
        "one for the blocker, one for all the others"
    );
}

#[tokio::test]
async fn a_second_owner_is_refused_and_the_next_is_welcome() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.hint().is_some());
    write(&store, 1, "kept".into()).await.unwrap();
    drop(store);
    let store = open(folder.path()).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    const NEWER: &[Migrations] = &[Migrations {
        component: "test",
        steps: &[STEPS[0], "CREATE TABLE test_new (id BIGINT)"],
    }];
    drop(
        Metastore::open(&MetastoreConfig::Sqlite { path: path.clone() }, NEWER)
            .await
            .unwrap(),
    );
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(
        error,
        StoreError::Newer {
            component: "test".into(),
            found: 2,
            supported: 1
        }
    );
    assert!(
        error
            .to_string()
            .contains("component test is at version 2, this program knows 1")
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_version_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = MetastoreConfig::Sqlite {
        path: folder.path().join("meta.db"),
    };
    const BROKEN: &[Migrations] = &[Migrations {
        component: "test",
        steps: &[
            STEPS[0],
            "CREATE TABLE test_half (id BIGINT); CREATE TABLE test_item (id BIGINT)",
        ],
    }];
    let error = Metastore::open(&config, BROKEN).await.unwrap_err();
    assert!(error.to_string().contains("migration test 2"), "{error}");
    let store = open(folder.path()).await.unwrap();
    let half: Result<_, StoreError> = store.read(|tx| tx.query("SELECT id FROM test_half", &[])).await;
    assert!(half.is_err());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("meta.db"),
        "this is not a database, but it is long enough",
    )
    .unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

/// SQLite's page limit stands in for the disk's end: it answers the same SQLITE_FULL by the same path.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_fails_only_what_does_not_fit_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let limit = |pages: i64| {
        let store = store.clone();
        async move {
            let sql = format!("PRAGMA max_page_count = {pages}");
            store
                .write(move |tx| tx.query(&sql, &[]))
                .await
                .map_err(|error: StoreError| error)
        }
    };
    limit(40).await.unwrap();
    let mut tasks = Vec::new();
    for id in 0..40 {
        let store = store.clone();
        // Every tenth is larger than the whole limit; the others all fit together.
        let body = "x".repeat(if id % 10 == 0 { 400_000 } else { 100 });
        tasks.push(tokio::spawn(async move { (id, write(&store, id, body).await) }));
    }
    for task in tasks {
        let (id, outcome) = task.await.unwrap();
        if id % 10 == 0 {
            assert_eq!(outcome, Err(StoreError::StorageFull), "{id}");
        } else {
            assert_eq!(outcome, Ok(1), "{id}");
        }
    }
    assert_eq!(StoreError::StorageFull.meaning(), Meaning::StorageFull);
    limit(1_000_000).await.unwrap();
    assert_eq!(
        write(&store, 0, "x".repeat(400_000)).await,
        Ok(1),
        "space has come back"
    );
    assert_eq!(count(&store).await, 37);
}

/// The same on a real file system of 8 MiB: fill it, be refused, make room, go on, and find everything again.
#[tokio::test]
async fn a_real_full_disk_is_survived() {
    let Some(folder) = tiny_disk("a_real_full_disk_is_survived", 8 << 20) else {
        return;
    };
    let store = open(&folder).await.unwrap();
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let mut id = 0;
    let error = loop {
        match write(&store, id, "x".repeat(100_000)).await {
            Ok(_) => id += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::StorageFull);
    assert_eq!(count(&store).await, id, "reads go on");
    assert_eq!(
        write(&store, id, "x".repeat(100_000)).await,
        Err(StoreError::StorageFull)
    );
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(
        write(&store, id, "small".to_owned()).await,
        Ok(1),
        "space has come back"
    );
    drop(store);
    assert_eq!(count(&open(&folder).await.unwrap()).await, id + 1);
}

const CHILD_VARIABLE: &str = "CORLISS_METASTORE_TEST_FOLDER";

/// Not a test of its own: writes until the test below kills it, and says what was acknowledged.
#[tokio::test]
#[ignore = "started by what_was_acknowledged_survives_kill_9"]
async fn write_until_killed() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let store = open(Path::new(&folder)).await.unwrap();
    for id in count(&store).await.. {
        write(&store, id, "x".repeat(200)).await.unwrap();
        println!("\nack {id}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = -1;
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "write_until_killed", "--nocapture"])
            .env(CHILD_VARIABLE, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = acknowledged + 20 + round * 7;
        while acknowledged < enough {
            let line = lines.next().unwrap().unwrap();
            if let Some(id) = line.strip_prefix("ack ") {
                acknowledged = id.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(id) = line.strip_prefix("ack ") {
                acknowledged = id.parse().unwrap();
            }
        }
        let store = open(folder.path()).await.unwrap();
        assert!(
            count(&store).await > acknowledged,
            "round {round}: up to {acknowledged} was acknowledged"
        );
    }
}

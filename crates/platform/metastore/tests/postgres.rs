//! What is particular to PostgreSQL: one owner, broken connections, a wrong address.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::{Duration, Instant};

use corliss_metastore::{Metastore, MetastoreConfig, Migrations, StoreError, params};
use corliss_testkit::postgres::fresh_database;

const MIGRATIONS: &[Migrations] = &[Migrations {
    component: "test",
    steps: &["CREATE TABLE test_item (id BIGINT NOT NULL PRIMARY KEY)"],
}];

const DEADLINE: Duration = Duration::from_secs(60);

async fn open(url: &str) -> Result<Metastore, StoreError> {
    Metastore::open(&MetastoreConfig::Postgres { url: url.to_owned() }, MIGRATIONS).await
}

async fn insert(store: &Metastore, id: i64) -> Result<u64, StoreError> {
    store
        .write(move |tx| tx.execute("INSERT INTO test_item (id) VALUES ($1)", params![id]))
        .await
}

type Write = Pin<Box<dyn Future<Output = Result<u64, StoreError>> + Send>>;

/// Queues these writes while every writer is held, so that grouping does not depend on timing; answers as they do.
async fn at_once<T>(store: &Metastore, mut writes: Vec<Pin<Box<dyn Future<Output = T> + Send>>>) -> Vec<T> {
    const WRITERS: usize = 4;
    let (held, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(WRITERS + 1)));
    let mut blockers = Vec::new();
    // One after the other: two that queue up together would be one writer's, and the second would wait for the first.
    for number in 1..=WRITERS {
        let (store, held_too, release) = (store.clone(), Arc::clone(&held), Arc::clone(&release));
        blockers.push(tokio::spawn(async move {
            store
                .write(move |_| {
                    held_too.fetch_add(1, Ordering::SeqCst);
                    release.wait();
                    Ok::<_, StoreError>(())
                })
                .await
        }));
        while held.load(Ordering::SeqCst) < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // One poll each queues the closure; then the writers are let go.
    for write in &mut writes {
        let polled = std::future::poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    tokio::task::spawn_blocking(move || release.wait()).await.unwrap();
    for blocker in blockers {
        blocker.await.unwrap().unwrap();
    }
    let mut answers = Vec::new();
    for write in writes {
        answers.push(write.await);
    }
    answers
}

async fn ids(store: &Metastore) -> Vec<i64> {
    store
        .read(|tx| {
            let rows = tx.query("SELECT id FROM test_item ORDER BY id", &[])?;
            rows.iter()
                .map(|row| row.integer("id"))
                .collect::<Result<_, StoreError>>()
        })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_that_queue_up_share_commits() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await.unwrap();
    let before = store.counters();
    let writes = (0..100).map(|id| {
        let store = store.clone();
        Box::pin(async move { insert(&store, id).await }) as Write
    });
    let answers = at_once(&store, writes.collect()).await;
    assert!(answers.iter().all(|answer| *answer == Ok(1)), "{answers:?}");
    assert_eq!(ids(&store).await, (0..100).collect::<Vec<_>>());
    let after = store.counters();
    assert_eq!(after.writes - before.writes, 104);
    assert_eq!(
        after.commits - before.commits,
        8,
        "one for each of the four that held, four for a hundred"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_spoils_a_shared_transaction_fails_alone() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await.unwrap();
    let writes = (0..60).map(|id| {
        let store = store.clone();
        Box::pin(async move {
            store
                .write(move |tx| {
                    let sql = "INSERT INTO test_item (id) VALUES ($1)";
                    match id % 6 {
                        // A statement that fails, an error after a change, one before any, a panic.
                        1 => tx.execute(sql, params![0]),
                        2 => tx.execute(sql, params![id]).and(Err(StoreError::Closed)),
                        3 => Err(StoreError::Closed),
                        4 => panic!("on purpose"),
                        _ => tx.execute(sql, params![id]),
                    }
                })
                .await
        }) as Write
    });
    insert(&store, 0).await.unwrap();
    let answers = at_once(&store, writes.skip(1).collect()).await;
    for (id, answer) in (1..).zip(&answers) {
        let right = match id % 6 {
            1 => answer.as_ref().is_err_and(StoreError::is_unique_violation),
            2 | 3 => *answer == Err(StoreError::Closed),
            4 => matches!(answer, Err(StoreError::Panicked { .. })),
            _ => *answer == Ok(1),
        };
        assert!(right, "{id}: {answer:?}");
    }
    let kept: Vec<i64> = (0..60).filter(|id| id % 6 == 0 || id % 6 == 5).collect();
    assert_eq!(ids(&store).await, kept);
}

async fn admin(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'corliss'";

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone() {
    let Some(url) = fresh_database().await else { return };
    let first = open(&url).await.unwrap();
    insert(&first, 1).await.unwrap();
    let error = open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    drop(first);
    let second = open(&url).await.unwrap();
    assert!(insert(&second, 1).await.unwrap_err().is_unique_violation());
}

#[tokio::test]
async fn broken_connections_are_replaced_and_the_lock_is_taken_again() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await.unwrap();
    insert(&store, 1).await.unwrap();
    let admin = admin(&url).await;
    const HOLDER: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let first: i32 = admin.query_one(HOLDER, &[]).await.unwrap().get(0);
    admin.batch_execute(TERMINATE).await.unwrap();
    let start = Instant::now();
    let mut id = 2;
    while let Err(error) = insert(&store, id).await {
        assert!(
            matches!(error, StoreError::Unavailable { .. } | StoreError::CommitUnknown),
            "{error:?}"
        );
        assert!(start.elapsed() < DEADLINE);
        id += 1;
    }
    // The first connection's process may still be on its way out, with the lock.
    while admin
        .query_opt(HOLDER, &[])
        .await
        .unwrap()
        .is_none_or(|row| row.get::<_, i32>(0) == first)
    {
        assert!(start.elapsed() < DEADLINE, "the lock was not taken again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(open(&url).await, Err(StoreError::InUse { .. })));
    insert(&store, 1000).await.unwrap();
}

/// The first server is cut off, a second takes over, the first comes back: it may commit nothing.
#[tokio::test]
async fn a_server_that_was_taken_over_can_commit_nothing_more() {
    let Some(url) = fresh_database().await else { return };
    let first = open(&url).await.unwrap();
    insert(&first, 1).await.unwrap();
    let admin = admin(&url).await;
    let start = Instant::now();
    // Whoever is faster has the lock; cut the first off until the second is.
    let second = loop {
        admin.batch_execute(TERMINATE).await.unwrap();
        match open(&url).await {
            Ok(second) => break second,
            Err(error) => assert!(start.elapsed() < DEADLINE, "{error:?}"),
        }
    };
    insert(&second, 2).await.unwrap();
    let error = loop {
        match insert(&first, 3).await.unwrap_err() {
            StoreError::Unavailable { .. } | StoreError::CommitUnknown => {
                assert!(start.elapsed() < DEADLINE);
            }
            error => break error,
        }
    };
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    let rows = second
        .read(|tx| tx.query("SELECT id FROM test_item ORDER BY id", &[]))
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn a_newer_database_is_refused_by_name() {
    let Some(url) = fresh_database().await else { return };
    drop(open(&url).await.unwrap());
    admin(&url)
        .await
        .batch_execute("UPDATE metastore_migrations SET version = 9 WHERE component = 'test'")
        .await
        .unwrap();
    let error = open(&url).await.unwrap_err();
    assert_eq!(
        error,
        StoreError::Newer {
            component: "test".into(),
            found: 9,
            supported: 1
        }
    );
}

#[tokio::test]
async fn wrong_addresses_are_told_apart() {
    let Some(url) = fresh_database().await else { return };
    let missing = url.replace("/suite_", "/absent_");
    assert!(matches!(open(&missing).await, Err(StoreError::Config { .. })));
    let error = open("postgresql://me:hunter2@host:notaport/x").await.unwrap_err();
    assert!(matches!(error, StoreError::Config { .. }), "{error:?}");
    assert!(!error.to_string().contains("hunter2"));
    let error = open("postgresql://postgres@%2Fnonexistent-folder/x")
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

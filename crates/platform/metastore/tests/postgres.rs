//! What is particular to PostgreSQL: one owner, broken connections, a wrong address.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

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

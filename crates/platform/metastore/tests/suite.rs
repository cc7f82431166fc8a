//! What every backend promises, run on all of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_metastore::{Metastore, Migrations, StoreError, Tx, Value, params};
use corliss_testkit::metastore::for_each_backend;

const MIGRATIONS: &[Migrations] = &[
    Migrations {
        component: "test",
        steps: &[
            "CREATE TABLE test_item (id TEXT NOT NULL PRIMARY KEY, n BIGINT, r DOUBLE PRECISION, b BYTEA);
             CREATE INDEX test_item_by_n ON test_item (n);",
            "CREATE TABLE test_part (id TEXT NOT NULL PRIMARY KEY,
                item TEXT NOT NULL REFERENCES test_item (id) ON DELETE CASCADE);",
        ],
    },
    Migrations {
        component: "other",
        steps: &["CREATE TABLE other_counter (id BIGINT PRIMARY KEY, n BIGINT)"],
    },
];

fn insert(tx: &mut dyn Tx, id: &str, n: i64) -> Result<u64, StoreError> {
    tx.execute("INSERT INTO test_item (id, n) VALUES ($1, $2)", params![id, n])
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

#[tokio::test]
async fn values_round_trip() {
    for_each_backend(MIGRATIONS, |store| async move {
        let row = store
            .write(|tx| {
                tx.execute(
                    "INSERT INTO test_item (id, n, r, b) VALUES ($1, $2, $3, $4), ($5, NULL, NULL, NULL)",
                    params!["é'\"%", i64::MIN, 0.1 + 0.2, vec![0_u8, 255], "null"],
                )?;
                tx.query_one(
                    "SELECT id, n, r, b FROM test_item WHERE id = $1",
                    params!["é'\"%"],
                )
            })
            .await;
        let row: Result<_, StoreError> = row;
        let row = row.unwrap();
        assert_eq!(row.text("id").unwrap(), "é'\"%");
        assert_eq!(row.integer("n").unwrap(), i64::MIN);
        assert_eq!(row.real("r").unwrap().to_bits(), (0.1_f64 + 0.2).to_bits());
        assert_eq!(row.blob("b").unwrap(), [0, 255]);
        let nulls = store
            .read(|tx| tx.query_one("SELECT n, r, b, 7 AS seven FROM test_item WHERE id = 'null'", &[]))
            .await
            .unwrap();
        assert_eq!(nulls.opt_integer("n").unwrap(), None);
        assert_eq!(nulls.opt_real("r").unwrap(), None);
        assert_eq!(nulls.opt_blob("b").unwrap(), None);
        assert_eq!(nulls.integer("seven").unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn placeholders_may_repeat_and_come_in_any_order() {
    for_each_backend(MIGRATIONS, |store| async move {
        let rows: Result<_, StoreError> = store
            .write(|tx| {
                insert(tx, "a", 1)?;
                insert(tx, "b", 2)?;
                tx.query(
                    "SELECT id FROM test_item WHERE n = $2 OR id = $1 OR id = $1 ORDER BY id LIMIT $3",
                    params!["a", 2, 10],
                )
            })
            .await;
        let ids: Vec<String> = rows.unwrap().iter().map(|row| row.text("id").unwrap()).collect();
        assert_eq!(ids, ["a", "b"]);
        for wrong in [params!["a"].to_vec(), params!["a", 2, 10, 4].to_vec()] {
            let outcome: Result<_, StoreError> = store
                .read(move |tx| {
                    tx.query(
                        "SELECT id FROM test_item WHERE n = $2 AND id = $1 LIMIT $3",
                        &wrong,
                    )
                })
                .await;
            assert!(
                matches!(outcome, Err(StoreError::Statement { .. })),
                "{outcome:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn changes_are_counted_and_returned() {
    for_each_backend(MIGRATIONS, |store| async move {
        let outcome: Result<(), StoreError> = store
            .write(|tx| {
                assert_eq!(insert(tx, "a", 1)?, 1);
                assert_eq!(insert(tx, "b", 2)?, 1);
                const UPSERT: &str = "INSERT INTO test_item (id, n) VALUES ($1, $2) ON CONFLICT (id) DO";
                let ignored = tx.execute(&format!("{UPSERT} NOTHING"), params!["a", 9])?;
                assert_eq!(ignored, 0, "and not the number of the statement before");
                assert_eq!(tx.execute("UPDATE test_item SET n = n + 1", &[])?, 2);
                let returned = tx.query_one(
                    &format!("{UPSERT} UPDATE SET n = test_item.n + excluded.n RETURNING n"),
                    params!["a", 40],
                )?;
                assert_eq!(returned.integer("n")?, 42);
                assert_eq!(
                    tx.query_one("SELECT SUM(n) AS s FROM test_item", &[])?
                        .integer("s")?,
                    45
                );
                tx.execute(
                    "INSERT INTO test_part (id, item) VALUES ('p', 'a'), ('q', 'a')",
                    &[],
                )?;
                assert_eq!(
                    tx.execute("DELETE FROM test_item WHERE id = 'a'", &[])?,
                    1,
                    "cascades do not count"
                );
                assert_eq!(
                    tx.query_one("SELECT COUNT(*) AS n FROM test_part", &[])?
                        .integer("n")?,
                    0
                );
                Ok(())
            })
            .await;
        outcome.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_error_a_panic_or_a_failed_statement_undoes_everything() {
    for_each_backend(MIGRATIONS, |store| async move {
        let own: Result<(), StoreError> = store
            .write(|tx| {
                insert(tx, "a", 1)?;
                Err(StoreError::Closed)
            })
            .await;
        assert_eq!(own, Err(StoreError::Closed));
        let panicked: Result<(), StoreError> = store
            .write(|tx| {
                insert(tx, "a", 1)?;
                panic!("stumbled");
            })
            .await;
        assert_eq!(
            panicked,
            Err(StoreError::Panicked {
                message: "stumbled".into()
            })
        );
        let swallowed: Result<(), StoreError> = store
            .write(|tx| {
                insert(tx, "a", 1)?;
                assert!(insert(tx, "a", 2).unwrap_err().is_unique_violation());
                assert!(matches!(insert(tx, "b", 1), Err(StoreError::Aborted { .. })));
                Ok(())
            })
            .await;
        assert!(
            matches!(swallowed, Err(StoreError::Aborted { .. })),
            "{swallowed:?}"
        );
        assert_eq!(count(&store).await, 0);
        let after: Result<u64, StoreError> = store.write(|tx| insert(tx, "a", 1)).await;
        assert_eq!(after, Ok(1), "the store goes on");
    })
    .await;
}

#[tokio::test]
async fn constraints_are_told_apart() {
    for_each_backend(MIGRATIONS, |store| async move {
        let dangling: Result<u64, StoreError> = store
            .write(|tx| tx.execute("INSERT INTO test_part (id, item) VALUES ('p', 'nobody')", &[]))
            .await;
        let dangling = dangling.unwrap_err();
        assert!(
            matches!(dangling, StoreError::ConstraintViolation { .. }),
            "{dangling:?}"
        );
        assert_eq!(dangling.meaning(), Meaning::Conflict);
        let missing: Result<u64, StoreError> = store
            .write(|tx| tx.execute("INSERT INTO test_part (id) VALUES ('p')", &[]))
            .await;
        assert!(!missing.unwrap_err().is_unique_violation());
        for _ in 0..2 {
            let _: Result<u64, StoreError> = store.write(|tx| insert(tx, "a", 1)).await;
        }
        let twice: Result<u64, StoreError> = store.write(|tx| insert(tx, "a", 1)).await;
        assert!(twice.unwrap_err().is_unique_violation());
    })
    .await;
}

#[tokio::test]
async fn what_one_database_cannot_store_all_refuse() {
    for_each_backend(MIGRATIONS, |store| async move {
        for value in [Value::from("a\0b"), Value::from(f64::NAN)] {
            let outcome: Result<u64, StoreError> = store
                .write(move |tx| {
                    let params = [Value::from("x"), value.clone()];
                    tx.execute("INSERT INTO test_item (id, r) VALUES ($1, $2)", &params)
                })
                .await;
            assert!(
                matches!(outcome, Err(StoreError::Parameter { index: 2, .. })),
                "{outcome:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn reads_cannot_write() {
    for_each_backend(MIGRATIONS, |store| async move {
        let outcome: Result<u64, StoreError> = store.read(|tx| insert(tx, "a", 1)).await;
        assert!(outcome.is_err());
        assert_eq!(count(&store).await, 0);
        let outcome: Result<u64, StoreError> = store.write(|tx| insert(tx, "a", 1)).await;
        assert_eq!(outcome, Ok(1));
        assert_eq!(count(&store).await, 1, "what was acknowledged is seen");
    })
    .await;
}

#[tokio::test]
async fn text_compares_with_case() {
    for_each_backend(MIGRATIONS, |store| async move {
        let outcome: Result<(), StoreError> = store
            .write(|tx| {
                for id in ["b", "B", "a_", "ab"] {
                    insert(tx, id, 1)?;
                }
                let like = tx.query("SELECT id FROM test_item WHERE id LIKE 'b%'", &[])?;
                assert_eq!(like.len(), 1);
                Ok(())
            })
            .await;
        outcome.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_read_modify_writes_lose_nothing() {
    for_each_backend(MIGRATIONS, |store| async move {
        const WRITERS: i64 = 16;
        const EACH: i64 = 12;
        let _: Result<u64, StoreError> = store
            .write(|tx| tx.execute("INSERT INTO other_counter (id, n) VALUES (1, 0)", &[]))
            .await;
        let runs = Arc::new(AtomicU32::new(0));
        let mut tasks = Vec::new();
        for _ in 0..WRITERS {
            let (store, runs) = (store.clone(), Arc::clone(&runs));
            tasks.push(tokio::spawn(async move {
                for _ in 0..EACH {
                    let runs = Arc::clone(&runs);
                    let outcome: Result<(), StoreError> = store
                        .write(move |tx| {
                            runs.fetch_add(1, Ordering::Relaxed);
                            let n = tx.query_one("SELECT n FROM other_counter WHERE id = 1", &[])?;
                            let next = n.integer("n")? + 1;
                            tx.execute("UPDATE other_counter SET n = $1 WHERE id = 1", params![next])?;
                            Ok(())
                        })
                        .await;
                    outcome.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let total = store
            .read(|tx| {
                tx.query_one("SELECT n FROM other_counter WHERE id = 1", &[])?
                    .integer("n")
            })
            .await;
        assert_eq!(total, Ok(WRITERS * EACH));
        assert_eq!(i64::try_from(store.counters().writes), Ok(WRITERS * EACH + 1));
        eprintln!(
            "closures ran {} times for {} writes",
            runs.load(Ordering::Relaxed),
            WRITERS * EACH
        );
    })
    .await;
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_a_whole_transaction() {
    for_each_backend(MIGRATIONS, |store| async move {
        for round in 0..20 {
            let store = store.clone();
            let task = tokio::spawn(async move {
                let _: Result<(), StoreError> = store
                    .write(move |tx| {
                        insert(tx, &format!("first-{round}"), 1)?;
                        insert(tx, &format!("second-{round}"), 1)?;
                        Ok(())
                    })
                    .await;
            });
            tokio::task::yield_now().await;
            task.abort();
        }
        let counted: Result<(), StoreError> = store
            .write(|tx| {
                let n = tx
                    .query_one("SELECT COUNT(*) AS n FROM test_item", &[])?
                    .integer("n")?;
                assert_eq!(n % 2, 0);
                Ok(())
            })
            .await;
        counted.unwrap();
    })
    .await;
}

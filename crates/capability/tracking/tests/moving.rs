//! A database of an older program: all that was logged is read as before.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use corliss_metastore::{Metastore, MetastoreConfig, Migrations, StoreError, Tx};
use corliss_testkit::postgres;
use corliss_tracking::{MIGRATIONS, RunSearch, SearchScope, Tracking};
use support::tracking_on;

fn first_step() -> Migrations {
    Migrations {
        component: MIGRATIONS.component,
        steps: &MIGRATIONS.steps[..1],
    }
}

fn fill(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_experiments VALUES (0, 'Default', 'mlflow-artifacts:/0', 'active', 1, 1)",
        &[],
    )?;
    for (run, start) in [("b", 2), ("a", 1), ("c", 3)] {
        let stage = if run == "c" { "deleted" } else { "active" };
        let rows = [
            format!(
                "INSERT INTO tracking_runs VALUES ('{run}', 0, 'run {run}', 'ada', 'FINISHED', {start}, 9, '{stage}', NULL, 'mlflow-artifacts:/0/{run}/artifacts')"
            ),
            format!("INSERT INTO tracking_params VALUES ('{run}', 'rate', '0.{start}')"),
            format!("INSERT INTO tracking_run_tags VALUES ('{run}', 'colour', 'blue {run}')"),
            format!(
                "INSERT INTO tracking_datasets VALUES ('{run}', 'set', 'd1', 'local', 'here', NULL, NULL)"
            ),
            format!(
                "INSERT INTO tracking_dataset_tags VALUES ('{run}', 'set', 'd1', 'mlflow.data.context', 'train')"
            ),
            format!("INSERT INTO tracking_run_models VALUES ('{run}', 'm-1', 1, 7)"),
            format!("INSERT INTO tracking_latest_metrics VALUES ('{run}', 'loss', 299, 1299, 0.5, 0)"),
        ];
        for row in rows {
            tx.execute(&row, &[])?;
        }
        for step in 0..300 {
            let (value, is_nan) = if step == 150 {
                ("0".to_owned(), 1)
            } else {
                (format!("{step}.5"), 0)
            };
            tx.execute(
                &format!(
                    "INSERT INTO tracking_metrics VALUES ('{run}', 'loss', {}, {step}, {value}, {is_nan})",
                    1000 + step
                ),
                &[],
            )?;
        }
        tx.execute(
            &format!("INSERT INTO tracking_metrics VALUES ('{run}', 'once', 5, 0, {start}.25, 0)"),
            &[],
        )?;
    }
    Ok(())
}

async fn check(tracking: &Tracking) {
    for (run, start) in [("a", 1), ("b", 2), ("c", 3)] {
        let read = tracking.run(run.to_owned()).await.unwrap();
        assert_eq!(read.info.name, format!("run {run}"));
        assert_eq!(read.params[0].value, format!("0.{start}"));
        assert_eq!(read.tags[0].value, format!("blue {run}"));
        assert_eq!(
            (read.datasets[0].name.as_str(), read.datasets[0].tags.len()),
            ("set", 1)
        );
        assert_eq!(
            (read.models[0].model_id.as_str(), read.models[0].step),
            ("m-1", 7)
        );
        let latest: Vec<(&str, f64)> = read
            .metrics
            .iter()
            .map(|one| (one.key.as_str(), one.value))
            .collect();
        assert_eq!(latest, [("loss", 299.5), ("once", f64::from(start) + 0.25)]);
        let history = tracking.metric_history(run.to_owned(), "loss".to_owned(), None, 0);
        let history = history.await.unwrap().items;
        assert_eq!(history.len(), 300);
        for (step, point) in (0..).zip(&history) {
            assert_eq!((point.step, point.logged_ms), (step, 1000 + step));
            assert_eq!(point.value.is_nan(), step == 150);
        }
    }
    let scope = SearchScope {
        filter: "metrics.once > 1.5 AND params.rate = '0.2' AND tags.colour LIKE 'blue%'".to_owned(),
        ..SearchScope::default()
    };
    let found = tracking.search_runs(RunSearch {
        experiment_ids: vec![0],
        scope,
    });
    let ids: Vec<String> = found
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|run| run.info.run_id)
        .collect();
    assert_eq!(ids, ["b"]);
}

async fn moved(config: &MetastoreConfig) {
    let store = Metastore::open(config, &[first_step()]).await.unwrap();
    store.write(fill).await.unwrap();
    drop(store);
    // The second time there is nothing left to move.
    for _ in 0..2 {
        let store = reopened(config).await;
        check(&tracking_on(store).await).await;
    }
}

async fn reopened(config: &MetastoreConfig) -> Metastore {
    loop {
        match Metastore::open(config, &[MIGRATIONS]).await {
            // A store lets go of its database a moment after it is dropped.
            Err(StoreError::InUse { .. }) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            store => return store.unwrap(),
        }
    }
}

#[tokio::test]
async fn all_that_was_logged_is_read_as_before() {
    let folder = tempfile::tempdir().unwrap();
    moved(&MetastoreConfig::Sqlite {
        path: folder.path().join("meta.db"),
    })
    .await;
    if let Some(url) = postgres::fresh_database().await {
        moved(&MetastoreConfig::Postgres { url }).await;
    }
}

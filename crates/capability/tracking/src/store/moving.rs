//! Points of metrics that an older program kept as rows, moved into histories: a few thousand at a time, each time whole.

use std::sync::Arc;

use corliss_metastore::{Metastore, StoreError, Tx, params};

use super::batches::Batches;
use super::history::Point;
use super::metrics::{Numbered, log_metrics, value_of};
use super::runs::RunRef;
use crate::types::LifecycleStage;

/// Runs that are moved in one transaction; each has a few hundred points.
const RUNS: i64 = 32;

/// Moves what there is. A store that was stopped meanwhile goes on where it was.
pub(crate) async fn move_old_points(store: &Metastore, batches: &Arc<Batches>) -> Result<(), StoreError> {
    let mut moved = 0;
    loop {
        let batches = Arc::clone(batches);
        let points = store.write(move |tx| move_some(tx, &batches)).await?;
        if points == 0 {
            if moved > 0 {
                tracing::info!(points = moved, "points of metrics were moved into the new form");
            }
            return Ok(());
        }
        moved += points;
    }
}

fn move_some(tx: &mut dyn Tx, batches: &Batches) -> Result<usize, StoreError> {
    let runs = tx.query(
        "SELECT DISTINCT m.run_no, r.experiment_id FROM tracking_metrics_1 m
         JOIN tracking_runs r ON r.run_no = m.run_no ORDER BY m.run_no LIMIT $1",
        params![RUNS],
    )?;
    let mut moved = 0;
    for row in &runs {
        let run = RunRef {
            number: row.integer("run_no")?,
            experiment_id: row.integer("experiment_id")?,
            stage: LifecycleStage::Active,
        };
        let rows = tx.query(
            "SELECT key_no, logged_ms, step, value, is_nan FROM tracking_metrics_1 WHERE run_no = $1",
            params![run.number],
        )?;
        let points: Vec<Numbered> = rows
            .iter()
            .map(|row| {
                let point = Point {
                    logged_ms: row.integer("logged_ms")?,
                    step: row.integer("step")?,
                    value: value_of(row)?,
                };
                Ok((row.integer("key_no")?, point))
            })
            .collect::<Result<_, StoreError>>()?;
        log_metrics(tx, batches, &run, &points)?;
        tx.execute(
            "DELETE FROM tracking_metrics_1 WHERE run_no = $1",
            params![run.number],
        )?;
        moved += points.len();
    }
    Ok(moved)
}

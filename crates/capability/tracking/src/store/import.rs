//! What was moved in from another tracker: which experiment and run came from where, and in which state the run was taken.

use std::collections::HashMap;

use corliss_metastore::{StoreError, Tx, params};

use super::artifacts::files_under;
use crate::types::{LifecycleStage, RunInfo};

/// Its tables. A run whose digest is empty was begun and is not finished.
pub(super) const TABLES: &str = "
CREATE TABLE tracking_imported_experiments (
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    experiment_id BIGINT NOT NULL,
    PRIMARY KEY (source, source_id)
);
CREATE INDEX tracking_imported_experiments_by_id ON tracking_imported_experiments (experiment_id);
CREATE TABLE tracking_imported_runs (
    run_no BIGINT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;
";

/// The experiment that one of a source became.
pub(crate) fn imported_experiment(
    tx: &mut dyn Tx,
    source: &str,
    source_id: &str,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT experiment_id FROM tracking_imported_experiments WHERE source = $1 AND source_id = $2";
    let row = tx.query_opt(sql, params![source, source_id])?;
    row.map(|row| row.integer("experiment_id")).transpose()
}

pub(crate) fn put_imported_experiment(
    tx: &mut dyn Tx,
    source: &str,
    source_id: &str,
    experiment_id: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_imported_experiments (source, source_id, experiment_id) VALUES ($1, $2, $3)
         ON CONFLICT (source, source_id) DO UPDATE SET experiment_id = excluded.experiment_id",
        params![source, source_id, experiment_id],
    )?;
    Ok(())
}

/// Whether an experiment is nobody's: it holds nothing, not even what is deleted, and nothing is being moved into it.
pub(crate) fn is_free_experiment(tx: &mut dyn Tx, id: i64) -> Result<bool, StoreError> {
    let found = tx.query_one(
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM tracking_runs WHERE experiment_id = $1 LIMIT 1) AS r)
              + (SELECT COUNT(*) FROM (SELECT 1 FROM tracking_logged_models WHERE experiment_id = $1 LIMIT 1) AS m)
              + (SELECT COUNT(*) FROM (SELECT 1 FROM tracking_imported_experiments WHERE experiment_id = $1 LIMIT 1) AS i)
             AS found",
        params![id],
    )?;
    Ok(found.unsigned("found")? == 0)
}

/// The digests of those of these runs that were moved in.
pub(crate) fn import_digests(tx: &mut dyn Tx, runs: &[i64]) -> Result<HashMap<i64, String>, StoreError> {
    let mut found = HashMap::new();
    for list in super::number_lists(runs) {
        let sql = format!(
            "SELECT run_no, digest FROM tracking_imported_runs WHERE run_no IN ({})",
            super::list(list.len())
        );
        for row in tx.query(&sql, &list)? {
            found.insert(row.integer("run_no")?, row.text("digest")?);
        }
    }
    Ok(found)
}

pub(crate) fn put_import_digest(
    tx: &mut dyn Tx,
    run_no: i64,
    source: &str,
    digest: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_imported_runs (run_no, source, digest) VALUES ($1, $2, $3)
         ON CONFLICT (run_no) DO UPDATE SET source = excluded.source, digest = excluded.digest",
        params![run_no, source, digest],
    )?;
    Ok(())
}

/// Records that a run is here as it was in this state of its source, in which it was deleted at `deleted_ms` or not.
pub(crate) fn finish_imported_run(
    tx: &mut dyn Tx,
    run_no: i64,
    digest: &str,
    deleted_ms: Option<i64>,
) -> Result<(), StoreError> {
    let stage = match deleted_ms {
        Some(_) => LifecycleStage::Deleted,
        None => LifecycleStage::Active,
    };
    tx.execute(
        "UPDATE tracking_runs SET lifecycle_stage = $2, deleted_ms = $3 WHERE run_no = $1",
        params![run_no, stage.as_str(), deleted_ms],
    )?;
    tx.execute(
        "UPDATE tracking_imported_runs SET digest = $2 WHERE run_no = $1",
        params![run_no, digest],
    )?;
    Ok(())
}

/// Writes what a run is anew.
pub(crate) fn rewrite_run(
    tx: &mut dyn Tx,
    run_no: i64,
    run: &RunInfo,
    deleted_ms: Option<i64>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tracking_runs SET name = $2, user_name = $3, status = $4, start_ms = $5, end_ms = $6,
             lifecycle_stage = $7, deleted_ms = $8
         WHERE run_no = $1",
        params![
            run_no,
            &run.name,
            &run.user,
            run.status.as_str(),
            run.start_ms,
            run.end_ms,
            run.lifecycle.as_str(),
            deleted_ms
        ],
    )?;
    Ok(())
}

/// How many files lie at a path, and their bytes.
pub(crate) fn artifacts_at(tx: &mut dyn Tx, path: &str, most: usize) -> Result<(u64, u64), StoreError> {
    let files = files_under(tx, path, most)?;
    Ok((files.len() as u64, files.iter().map(|file| file.size_bytes).sum()))
}

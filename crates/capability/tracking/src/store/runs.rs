//! The rows of runs. Inside they have numbers: what hangs on a run names it by a few bytes.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};

use crate::types::{LifecycleStage, RunInfo, RunStatus};

pub(super) const COLUMNS: &str = "r.run_no, r.run_id, r.experiment_id, r.name, r.user_name, r.status, r.start_ms, \
                                  r.end_ms, r.lifecycle_stage, r.artifact_uri";

/// What every change of a run begins with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunRef {
    pub number: i64,
    pub experiment_id: i64,
    pub stage: LifecycleStage,
}

/// A run with its number.
pub(crate) type NumberedRun = (i64, RunInfo);

pub(super) fn from_row(row: &Row) -> Result<NumberedRun, StoreError> {
    let info = RunInfo {
        run_id: row.text("run_id")?,
        experiment_id: row.integer("experiment_id")?,
        name: row.text("name")?,
        user: row.text("user_name")?,
        status: RunStatus::parse(&row.text("status")?).unwrap_or(RunStatus::Running),
        start_ms: row.integer("start_ms")?,
        end_ms: row.opt_integer("end_ms")?,
        lifecycle: LifecycleStage::of(&row.text("lifecycle_stage")?),
        artifact_uri: row.text("artifact_uri")?,
    };
    Ok((row.integer("run_no")?, info))
}

/// The number that the next run gets.
pub(crate) fn next_run_no(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.query_one(
        "SELECT COALESCE(MAX(run_no), 0) + 1 AS next FROM tracking_runs",
        &[],
    )?
    .integer("next")
}

pub(crate) fn insert_run(tx: &mut dyn Tx, run_no: i64, run: &RunInfo) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_runs (run_no, run_id, experiment_id, name, user_name, status, start_ms, end_ms,
             lifecycle_stage, artifact_uri)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            run_no,
            &run.run_id,
            run.experiment_id,
            &run.name,
            &run.user,
            run.status.as_str(),
            run.start_ms,
            run.end_ms,
            run.lifecycle.as_str(),
            &run.artifact_uri
        ],
    )?;
    Ok(())
}

/// Sets a run running again, undeleted and without an end.
pub(crate) fn reopen_run(tx: &mut dyn Tx, run_no: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tracking_runs SET status = $2, end_ms = NULL, lifecycle_stage = $3, deleted_ms = NULL
         WHERE run_no = $1",
        params![
            run_no,
            RunStatus::Running.as_str(),
            LifecycleStage::Active.as_str()
        ],
    )?;
    Ok(())
}

pub(crate) fn run_info(tx: &mut dyn Tx, run_id: &str) -> Result<Option<NumberedRun>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tracking_runs r WHERE r.run_id = $1");
    tx.query_opt(&sql, params![run_id])?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// What every call that logs has to look at.
pub(crate) fn run_ref(tx: &mut dyn Tx, run_id: &str) -> Result<Option<RunRef>, StoreError> {
    let sql = "SELECT run_no, experiment_id, lifecycle_stage FROM tracking_runs WHERE run_id = $1";
    let Some(row) = tx.query_opt(sql, params![run_id])? else {
        return Ok(None);
    };
    Ok(Some(RunRef {
        number: row.integer("run_no")?,
        experiment_id: row.integer("experiment_id")?,
        stage: LifecycleStage::of(&row.text("lifecycle_stage")?),
    }))
}

/// The numbers of those of these runs that exist.
pub(crate) fn run_numbers(tx: &mut dyn Tx, run_ids: &[String]) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut found = BTreeMap::new();
    for list in super::text_lists(run_ids) {
        let sql = format!(
            "SELECT run_no, run_id FROM tracking_runs WHERE run_id IN ({})",
            super::list(list.len())
        );
        for row in tx.query(&sql, &list)? {
            found.insert(row.text("run_id")?, row.integer("run_no")?);
        }
    }
    Ok(found)
}

pub(crate) fn update_run(
    tx: &mut dyn Tx,
    run_no: i64,
    status: Option<RunStatus>,
    end_ms: Option<i64>,
    name: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tracking_runs SET status = COALESCE($2, status), end_ms = COALESCE($3, end_ms),
             name = COALESCE($4, name)
         WHERE run_no = $1",
        params![run_no, status.map(RunStatus::as_str), end_ms, name],
    )?;
    Ok(())
}

/// Records how a step ended, keeping the end that the client itself reported for the same outcome.
pub(crate) fn finish_run(
    tx: &mut dyn Tx,
    run_id: &str,
    status: RunStatus,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE tracking_runs
         SET end_ms = CASE WHEN status = $2 THEN COALESCE(end_ms, $3) ELSE $3 END, status = $2
         WHERE run_id = $1",
        params![run_id, status.as_str(), now_ms],
    )?;
    Ok(changed == 1)
}

pub(crate) fn set_run_stage(
    tx: &mut dyn Tx,
    run_id: &str,
    stage: LifecycleStage,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let deleted_ms = (stage == LifecycleStage::Deleted).then_some(now_ms);
    let changed = tx.execute(
        "UPDATE tracking_runs SET lifecycle_stage = $2, deleted_ms = $3 WHERE run_id = $1",
        params![run_id, stage.as_str(), deleted_ms],
    )?;
    Ok(changed == 1)
}

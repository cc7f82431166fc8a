//! The rows of runs.

use corliss_metastore::{Row, StoreError, Tx, params};

use crate::types::{LifecycleStage, RunInfo, RunStatus};

pub(super) const COLUMNS: &str = "r.run_id, r.experiment_id, r.name, r.user_name, r.status, r.start_ms, r.end_ms, \
                                  r.lifecycle_stage, r.artifact_uri";

pub(super) fn from_row(row: &Row) -> Result<RunInfo, StoreError> {
    Ok(RunInfo {
        run_id: row.text("run_id")?,
        experiment_id: row.integer("experiment_id")?,
        name: row.text("name")?,
        user: row.text("user_name")?,
        status: RunStatus::parse(&row.text("status")?).unwrap_or(RunStatus::Running),
        start_ms: row.integer("start_ms")?,
        end_ms: row.opt_integer("end_ms")?,
        lifecycle: LifecycleStage::of(&row.text("lifecycle_stage")?),
        artifact_uri: row.text("artifact_uri")?,
    })
}

pub(crate) fn insert_run(tx: &mut dyn Tx, run: &RunInfo) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_runs (run_id, experiment_id, name, user_name, status, start_ms, end_ms,
             lifecycle_stage, artifact_uri)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
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

/// Sets a run running again, undeleted and without an end; false if there is no such run.
pub(crate) fn reopen_run(tx: &mut dyn Tx, run_id: &str) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE tracking_runs SET status = $2, end_ms = NULL, lifecycle_stage = $3, deleted_ms = NULL
         WHERE run_id = $1",
        params![
            run_id,
            RunStatus::Running.as_str(),
            LifecycleStage::Active.as_str()
        ],
    )?;
    Ok(changed == 1)
}

pub(crate) fn run_info(tx: &mut dyn Tx, run_id: &str) -> Result<Option<RunInfo>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tracking_runs r WHERE r.run_id = $1");
    tx.query_opt(&sql, params![run_id])?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The lifecycle stage alone: what every logging call has to look at.
pub(crate) fn run_stage(tx: &mut dyn Tx, run_id: &str) -> Result<Option<LifecycleStage>, StoreError> {
    tx.query_opt(
        "SELECT lifecycle_stage FROM tracking_runs WHERE run_id = $1",
        params![run_id],
    )?
    .map(|row| row.text("lifecycle_stage").map(|text| LifecycleStage::of(&text)))
    .transpose()
}

pub(crate) fn update_run(
    tx: &mut dyn Tx,
    run_id: &str,
    status: Option<RunStatus>,
    end_ms: Option<i64>,
    name: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tracking_runs SET status = COALESCE($2, status), end_ms = COALESCE($3, end_ms),
             name = COALESCE($4, name)
         WHERE run_id = $1",
        params![run_id, status.map(RunStatus::as_str), end_ms, name],
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

pub(crate) fn delete_tag(tx: &mut dyn Tx, run_id: &str, key: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM tracking_run_tags WHERE run_id = $1 AND key = $2";
    Ok(tx.execute(sql, params![run_id, key])? == 1)
}

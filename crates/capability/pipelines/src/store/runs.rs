//! Rows of runs: insert, find, list, the request to cancel.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_policy_pipeline::{Release, RunState, StepState};
use corliss_types::{RunId, Timestamp, TrackingRunId, VersionId};

use super::unknown;

/// Every version that a run has as code, data or output.
pub(crate) fn versions_in_use(tx: &mut dyn Tx) -> Result<Vec<VersionId>, StoreError> {
    let rows = tx.query(
        "SELECT source AS version FROM pipelines_runs
         UNION SELECT version FROM pipelines_data
         UNION SELECT version FROM pipelines_outputs",
        params![],
    )?;
    rows.iter().map(|row| row.parse("version")).collect()
}

/// A run as stored, without its steps.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub(crate) id: RunId,
    pub(crate) project: String,
    pub(crate) state: RunState,
    pub(crate) reason: Option<String>,
    pub(crate) file_name: String,
    pub(crate) project_file: String,
    pub(crate) source: VersionId,
    /// JSON of `ShellEnvironment`.
    pub(crate) environment: String,
    /// JSON of a map.
    pub(crate) params: String,
    pub(crate) submitted_by: String,
    pub(crate) rerun_of: Option<RunId>,
    pub(crate) created: Timestamp,
    /// Before when none of its steps is started.
    pub(crate) begin: Option<Timestamp>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) cancel_requested: bool,
    pub(crate) steps_total: u64,
    pub(crate) release: Release,
}

/// A run to insert.
#[derive(Debug, Clone)]
pub(crate) struct NewRunRow {
    pub(crate) id: RunId,
    pub(crate) project: String,
    pub(crate) file_name: String,
    pub(crate) project_file: String,
    pub(crate) source: VersionId,
    pub(crate) environment: String,
    pub(crate) params: String,
    pub(crate) submitted_by: String,
    pub(crate) rerun_of: Option<RunId>,
    pub(crate) created: Timestamp,
    pub(crate) begin: Option<Timestamp>,
    pub(crate) data: BTreeMap<String, VersionId>,
    pub(crate) steps: Vec<NewStepRow>,
    pub(crate) models: Vec<String>,
    pub(crate) endpoints: Vec<String>,
}

/// A step to insert: waiting, or taken over from an earlier run.
#[derive(Debug, Clone)]
pub(crate) struct NewStepRow {
    pub(crate) name: String,
    pub(crate) tracking_run: TrackingRunId,
    pub(crate) use_cache: bool,
    /// Set if it is taken over.
    pub(crate) cached_from: Option<RunId>,
    pub(crate) outputs: BTreeMap<String, VersionId>,
}

pub(crate) fn insert(tx: &mut dyn Tx, run: &NewRunRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO pipelines_runs (id, project, state, file_name, project_file, source, environment, params,
             submitted_by, rerun_of, created_ms, cancel_requested, steps_total, released, swept, begin_ms)
         VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, 'pending', 0, $12)",
        params![
            &run.id,
            &run.project,
            &run.file_name,
            &run.project_file,
            &run.source,
            &run.environment,
            &run.params,
            &run.submitted_by,
            run.rerun_of.clone(),
            run.created,
            run.steps.len(),
            run.begin,
        ],
    )?;
    for (name, version) in &run.data {
        tx.execute(
            "INSERT INTO pipelines_data (run_id, name, version) VALUES ($1, $2, $3)",
            params![&run.id, name, version],
        )?;
    }
    for (index, step) in run.steps.iter().enumerate() {
        insert_step(tx, run, index, step)?;
    }
    for name in &run.models {
        tx.execute(
            "INSERT INTO pipelines_models (run_id, name, state) VALUES ($1, $2, 'pending')",
            params![&run.id, name],
        )?;
    }
    for name in &run.endpoints {
        tx.execute(
            "INSERT INTO pipelines_endpoints (run_id, name, state) VALUES ($1, $2, 'pending')",
            params![&run.id, name],
        )?;
    }
    Ok(())
}

fn insert_step(tx: &mut dyn Tx, run: &NewRunRow, index: usize, step: &NewStepRow) -> Result<(), StoreError> {
    let taken_over = step.cached_from.is_some();
    let state = if taken_over {
        StepState::Reused
    } else {
        StepState::Waiting
    };
    tx.execute(
        "INSERT INTO pipelines_steps (run_id, step, name, state, attempt, infrastructure_failures, user_failures,
             tracking_run, cached_from, use_cache, closed, ended_ms)
         VALUES ($1, $2, $3, $4, 0, 0, 0, $5, $6, $7, $8, $9)",
        params![
            &run.id,
            index,
            &step.name,
            state.as_str(),
            &step.tracking_run,
            step.cached_from.clone(),
            step.use_cache,
            taken_over,
            taken_over.then_some(run.created),
        ],
    )?;
    for (name, version) in &step.outputs {
        tx.execute(
            "INSERT INTO pipelines_outputs (run_id, step, name, version) VALUES ($1, $2, $3, $4)",
            params![&run.id, index, name, version],
        )?;
    }
    Ok(())
}

const COLUMNS: &str = "id, project, state, reason, file_name, project_file, source, environment, params,
    submitted_by, rerun_of, created_ms, started_ms, ended_ms, cancel_requested, steps_total, released, begin_ms";

fn row(row: &Row) -> Result<RunRow, StoreError> {
    let state = row.text("state")?;
    let released = row.text("released")?;
    Ok(RunRow {
        id: row.parse("id")?,
        project: row.text("project")?,
        state: RunState::from_name(&state).ok_or_else(|| unknown("state", &state))?,
        reason: row.opt_text("reason")?,
        file_name: row.text("file_name")?,
        project_file: row.text("project_file")?,
        source: row.parse("source")?,
        environment: row.text("environment")?,
        params: row.text("params")?,
        submitted_by: row.text("submitted_by")?,
        rerun_of: row.opt_parse("rerun_of")?,
        created: row.timestamp("created_ms")?,
        begin: row.opt_timestamp("begin_ms")?,
        started: row.opt_timestamp("started_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
        cancel_requested: row.boolean("cancel_requested")?,
        steps_total: row.unsigned("steps_total")?,
        release: match released.as_str() {
            "pending" => Release::Pending,
            "done" => Release::Done,
            "failed" => Release::Failed,
            other => return Err(unknown("released", other)),
        },
    })
}

pub(crate) fn find(tx: &mut dyn Tx, id: &RunId) -> Result<Option<RunRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM pipelines_runs WHERE id = $1");
    tx.query_opt(&sql, params![id])?.as_ref().map(row).transpose()
}

/// Newest first; `before` is the last id of the page before.
pub(crate) fn list(
    tx: &mut dyn Tx,
    state: Option<RunState>,
    before: Option<&RunId>,
    limit: u32,
) -> Result<Vec<RunRow>, StoreError> {
    let mut sql = format!("SELECT {COLUMNS} FROM pipelines_runs WHERE id < $1");
    if state.is_some() {
        sql.push_str(" AND state = $2");
    }
    sql.push_str(&format!(" ORDER BY id DESC LIMIT {limit}"));
    // Sorts after every id of a run, in every collation.
    let before = before.map_or("run_zzzzzzzzzzzzzzzzzzzzzzzzzzz", |id| id.as_str());
    let rows = match state {
        Some(state) => tx.query(&sql, params![before, state.as_str()])?,
        None => tx.query(&sql, params![before])?,
    };
    rows.iter().map(row).collect()
}

/// How many steps of a run are done.
pub(crate) fn step_counts(tx: &mut dyn Tx, id: &RunId) -> Result<u64, StoreError> {
    let sql =
        "SELECT COUNT(*) AS done FROM pipelines_steps WHERE run_id = $1 AND state IN ('succeeded', 'reused')";
    tx.query_one(sql, params![id])?.unsigned("done")
}

/// A run that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Unfinished {
    pub(crate) id: RunId,
    pub(crate) cancel_requested: bool,
}

/// Runs that have not ended, oldest first.
pub(crate) fn unfinished(tx: &mut dyn Tx, limit: u32) -> Result<Vec<Unfinished>, StoreError> {
    let sql = format!(
        "SELECT id, cancel_requested FROM pipelines_runs WHERE state IN ('pending', 'running')
         ORDER BY id LIMIT {limit}"
    );
    let rows = tx.query(&sql, &[])?;
    rows.iter()
        .map(|row| {
            Ok(Unfinished {
                id: row.parse("id")?,
                cancel_requested: row.boolean("cancel_requested")?,
            })
        })
        .collect()
}

/// Notes that someone wants the run to stop. False if it has ended.
pub(crate) fn request_cancel(tx: &mut dyn Tx, id: &RunId) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE pipelines_runs SET cancel_requested = 1 WHERE id = $1 AND state IN ('pending', 'running')",
        params![id],
    )?;
    Ok(changed == 1)
}

/// Ended runs whose work folders are at most in stage `swept`, newest first, after skipping `skip`.
pub(crate) fn sweepable(
    tx: &mut dyn Tx,
    swept: i64,
    skip: u32,
    limit: u32,
) -> Result<Vec<(RunId, RunState)>, StoreError> {
    let sql = format!(
        "SELECT id, state FROM pipelines_runs
         WHERE state IN ('succeeded', 'failed', 'cancelled') AND swept = $1
         ORDER BY id DESC LIMIT {limit} OFFSET {skip}"
    );
    let rows = tx.query(&sql, params![swept])?;
    rows.iter()
        .map(|row| {
            let state = row.text("state")?;
            Ok((
                row.parse("id")?,
                RunState::from_name(&state).ok_or_else(|| unknown("state", &state))?,
            ))
        })
        .collect()
}

pub(crate) fn set_swept(tx: &mut dyn Tx, id: &RunId, swept: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE pipelines_runs SET swept = $2 WHERE id = $1",
        params![id, swept],
    )?;
    Ok(())
}

//! Reading jobs.

use corliss_metastore::{Row, StoreError, Tx, lists, params};
use corliss_types::{JobId, RunId};
use serde::de::DeserializeOwned;

use crate::service::JobFilter;
use crate::{Job, JobsError, Task};

const ACTIVE: &str = "('starting', 'running', 'stopping')";

/// What a statement of jobs answers.
pub(crate) type Load<T> = Result<T, JobsError>;

pub(crate) fn by_id(tx: &mut dyn Tx, id: &JobId) -> Load<Option<Job>> {
    one(tx, "WHERE id = $1", id.as_str())
}

pub(crate) fn by_key(tx: &mut dyn Tx, key: &str) -> Load<Option<Job>> {
    one(tx, "WHERE key = $1", key)
}

fn one(tx: &mut dyn Tx, filter: &str, value: &str) -> Load<Option<Job>> {
    let row = tx.query_opt(&format!("SELECT * FROM jobs_jobs {filter}"), params![value])?;
    row.map(|row| job(tx, &row)).transpose()
}

/// Jobs that hold resources, oldest first.
pub(crate) fn active(tx: &mut dyn Tx) -> Load<Vec<Job>> {
    let rows = tx.query(
        &format!("SELECT * FROM jobs_jobs WHERE state IN {ACTIVE} ORDER BY created_ms, id"),
        params![],
    )?;
    rows.iter().map(|row| job(tx, row)).collect()
}

/// Newest first, after the job `filter.before`.
pub(crate) fn list(tx: &mut dyn Tx, filter: &JobFilter, limit: u32) -> Load<Vec<Job>> {
    let rows = tx.query(
        "SELECT * FROM jobs_jobs
         WHERE (CAST($1 AS TEXT) IS NULL OR state = $1) AND (CAST($2 AS TEXT) IS NULL OR run_id = $2) AND (CAST($3 AS TEXT) IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        params![
            filter.state.map(|state| state.as_str().to_owned()),
            filter.run_id.as_ref().map(|run| run.as_str().to_owned()),
            filter.before.as_ref().map(|id| id.as_str().to_owned()),
            limit
        ],
    )?;
    rows.iter().map(|row| job(tx, row)).collect()
}

/// The job of another attempt at the same step.
pub(crate) fn sibling(tx: &mut dyn Tx, run: &RunId, step: &str, attempt: u32) -> Load<Option<Job>> {
    let row = tx.query_opt(
        "SELECT * FROM jobs_jobs WHERE run_id = $1 AND step = $2 AND attempt = $3 ORDER BY id LIMIT 1",
        params![run, step, attempt],
    )?;
    row.map(|row| job(tx, &row)).transpose()
}

pub(crate) fn count_queued(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.query_one(
        "SELECT COUNT(*) AS n FROM jobs_jobs WHERE state = 'queued'",
        params![],
    )?
    .unsigned("n")
}

/// These jobs, without their tasks; a job that is not there is left out.
pub(crate) fn many(tx: &mut dyn Tx, ids: &[JobId]) -> Load<Vec<Job>> {
    let mut jobs = Vec::with_capacity(ids.len());
    for list in lists::in_lists(ids, |id| id.into()) {
        let statement = format!(
            "SELECT * FROM jobs_jobs WHERE id IN ({})",
            lists::list(list.len())
        );
        for row in tx.query(&statement, &list)? {
            jobs.push(job_without_tasks(&row)?);
        }
    }
    Ok(jobs)
}

fn job(tx: &mut dyn Tx, row: &Row) -> Load<Job> {
    let mut job = job_without_tasks(row)?;
    let rows = tx.query(
        "SELECT id, rank, phase, pid, exit FROM jobs_tasks WHERE job_id = $1 ORDER BY rank",
        params![&job.id],
    )?;
    job.tasks = rows
        .iter()
        .map(|row| {
            Ok(Task {
                id: row.parse("id")?,
                rank: small(row, "rank")?,
                phase: row.parse("phase")?,
                pid: row.opt_integer("pid")?.and_then(|pid| i32::try_from(pid).ok()),
                exit: json(row, "exit")?,
            })
        })
        .collect::<Load<_>>()?;
    Ok(job)
}

fn job_without_tasks(row: &Row) -> Load<Job> {
    let spec = json(row, "spec")?.ok_or_else(|| bad(row, "it has no specification"))?;
    Ok(Job {
        id: row.parse("id")?,
        key: row.text("key")?,
        spec,
        state: row.parse("state")?,
        generation: row.integer("generation")?,
        reason: row.opt_text("reason")?,
        class: row.opt_parse("class")?,
        stop_cause: row.opt_parse("stop_cause")?,
        placement: json(row, "placement")?.unwrap_or_default(),
        boot_id: row.opt_text("boot_id")?,
        launch: json(row, "launch")?,
        created: row.timestamp("created_ms")?,
        admitted: row.opt_timestamp("admitted_ms")?,
        started: row.opt_timestamp("started_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
        tasks: Vec::new(),
    })
}

pub(super) fn small(row: &Row, column: &str) -> Load<u32> {
    u32::try_from(row.unsigned(column)?).map_err(|_| bad(row, &format!("{column} is too large")))
}

pub(super) fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Load<Option<T>> {
    let Some(text) = row.opt_text(column)? else {
        return Ok(None);
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| bad(row, &format!("{column}: {error}")))
}

pub(super) fn bad(row: &Row, reason: &str) -> JobsError {
    JobsError::BadRow {
        job: row.text("id").unwrap_or_default(),
        reason: reason.to_owned(),
    }
}

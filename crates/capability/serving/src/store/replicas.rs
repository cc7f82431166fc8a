//! Rows of `serving_replicas`.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx};
use corliss_types::{JobId, ReplicaId, Timestamp, VersionId};

use crate::types::ReplicaPhase;

/// A replica as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRow {
    /// Id.
    pub id: ReplicaId,
    /// Its endpoint.
    pub endpoint: String,
    /// Version of the model.
    pub version: u32,
    /// Files of that version.
    pub files: VersionId,
    /// How it is.
    pub phase: ReplicaPhase,
    /// Since when.
    pub phase_since: Timestamp,
    /// When it first took requests.
    pub ready: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it is as it is.
    pub reason: Option<String>,
    /// Its job, once submitted.
    pub job: Option<JobId>,
    /// Crashes in a row before it.
    pub restarts: u32,
    /// When it was made.
    pub created: Timestamp,
}

fn replica(row: &Row) -> Result<ReplicaRow, StoreError> {
    Ok(ReplicaRow {
        id: row.parse("id")?,
        endpoint: row.text("endpoint")?,
        version: u32::try_from(row.unsigned("version")?).unwrap_or(u32::MAX),
        files: row.parse("files")?,
        phase: ReplicaPhase::from_name(&row.text("phase")?).unwrap_or(ReplicaPhase::Failed),
        phase_since: row.timestamp("phase_since_ms")?,
        ready: row.opt_timestamp("ready_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
        reason: row.opt_text("reason")?,
        job: row.opt_parse("job_id")?,
        restarts: u32::try_from(row.unsigned("restarts")?).unwrap_or(u32::MAX),
        created: row.timestamp("created_ms")?,
    })
}

/// Replicas of each endpoint, oldest first.
pub type ByEndpoint = BTreeMap<String, Vec<ReplicaRow>>;

/// Every replica.
pub fn list_replicas(tx: &mut dyn Tx) -> Result<ByEndpoint, StoreError> {
    by_endpoint(&tx.query("SELECT * FROM serving_replicas ORDER BY id", &[])?)
}

/// Replicas whose process may still be there.
pub fn live_replicas(tx: &mut dyn Tx) -> Result<ByEndpoint, StoreError> {
    let sql = "SELECT * FROM serving_replicas WHERE ended_ms IS NULL ORDER BY id";
    by_endpoint(&tx.query(sql, &[])?)
}

fn by_endpoint(rows: &[Row]) -> Result<ByEndpoint, StoreError> {
    let mut found = ByEndpoint::new();
    for row in rows {
        let row = replica(row)?;
        found.entry(row.endpoint.clone()).or_default().push(row);
    }
    Ok(found)
}

/// Stores a new replica.
pub fn insert_replica(tx: &mut dyn Tx, row: &ReplicaRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO serving_replicas (id, endpoint, version, files, phase, phase_since_ms, ready_ms, ended_ms,
             reason, job_id, restarts, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, NULL, NULL, NULL, NULL, $7, $6)",
        &[
            (&row.id).into(),
            (&row.endpoint).into(),
            row.version.into(),
            (&row.files).into(),
            row.phase.as_str().into(),
            row.created.into(),
            row.restarts.into(),
        ],
    )?;
    Ok(())
}

/// Stores a replica's job.
pub fn set_job(tx: &mut dyn Tx, id: &ReplicaId, job: &JobId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE serving_replicas SET job_id = $2 WHERE id = $1",
        &[id.into(), job.into()],
    )?;
    Ok(())
}

/// Moves a replica from the phase that was read to another; false if it is no longer in that phase.
pub fn set_replica_phase(
    tx: &mut dyn Tx,
    row: &ReplicaRow,
    to: ReplicaPhase,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ready = (to == ReplicaPhase::Ready).then_some(now).or(row.ready);
    let ended = to.has_ended().then_some(now);
    let since = if to == row.phase { row.phase_since } else { now };
    let changed = tx.execute(
        "UPDATE serving_replicas SET phase = $3, phase_since_ms = $4, ready_ms = $5, ended_ms = $6, reason = $7
         WHERE id = $1 AND phase = $2",
        &[
            (&row.id).into(),
            row.phase.as_str().into(),
            to.as_str().into(),
            since.into(),
            ready.into(),
            ended.into(),
            reason.into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Forgets replicas that ended, but for the newest `keep` of the endpoint.
pub fn prune_ended(tx: &mut dyn Tx, endpoint: &str, keep: u32) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM serving_replicas WHERE endpoint = $1 AND ended_ms IS NOT NULL AND id NOT IN (
             SELECT id FROM serving_replicas WHERE endpoint = $1 AND ended_ms IS NOT NULL
             ORDER BY id DESC LIMIT $2)",
        &[endpoint.into(), keep.into()],
    )?;
    Ok(())
}

/// How a replica ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why, in a sentence.
    pub reason: String,
    /// Whether it had taken requests: it was no start that failed.
    pub was_ready: bool,
}

fn failure(row: &Row) -> Result<Failure, StoreError> {
    Ok(Failure {
        reason: row.text("reason")?,
        was_ready: row.opt_timestamp("ready_ms")?.is_some(),
    })
}

/// How the newest replica of an endpoint ended that gives a reason for its end.
pub fn last_failure(tx: &mut dyn Tx, endpoint: &str) -> Result<Option<Failure>, StoreError> {
    let sql = "SELECT reason, ready_ms FROM serving_replicas
               WHERE endpoint = $1 AND reason IS NOT NULL AND phase IN ('failed', 'stopping', 'stopped')
               ORDER BY id DESC LIMIT 1";
    tx.query_opt(sql, &[endpoint.into()])?
        .as_ref()
        .map(failure)
        .transpose()
}

/// How the newest replica of a version ended that gives a reason for its end.
pub fn last_failure_of(tx: &mut dyn Tx, endpoint: &str, version: u32) -> Result<Option<Failure>, StoreError> {
    let sql = "SELECT reason, ready_ms FROM serving_replicas
               WHERE endpoint = $1 AND version = $2 AND reason IS NOT NULL
                   AND phase IN ('failed', 'stopping', 'stopped')
               ORDER BY id DESC LIMIT 1";
    let found = tx.query_opt(sql, &[endpoint.into(), version.into()])?;
    found.as_ref().map(failure).transpose()
}

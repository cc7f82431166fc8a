//! What the queue reads and notes: jobs that are not over, which of them changed, what was promised, the queues themselves.

use corliss_metastore::{Row, Tx, params};
use corliss_policy_scheduling::Gang;
use corliss_types::{JobId, Resources, Timestamp};
use serde::{Deserialize, Serialize};

use super::Load;
use super::read::{bad, json, small};
use super::write::text;
use crate::{JobState, JobsError, QueueSettings, Terms, view};

const COLUMNS: &str =
    "j.id, j.created_ms, j.workers, j.cpu_milli, j.memory_bytes, j.accelerators, j.terms, j.run_ms,
    j.state, j.generation, j.placement, j.promise, j.admitted_ms, j.ended_ms, j.stop_cause";

/// A job as the queue knows it.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub gang: Gang,
    pub generation: i64,
    pub state: JobState,
    /// Whether it is being ended.
    pub is_ending: bool,
    /// Indices of the accelerators of each rank, once admitted.
    pub placement: Vec<Vec<u32>>,
    /// Where it was told that it will be, if it was.
    pub promise: Option<Promise>,
    pub admitted: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

/// Where a job will be when those have ended who are there: indices of the accelerators of each rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub placement: Vec<Vec<u32>>,
}

/// The queues as they were last set.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredQueues {
    pub settings: QueueSettings,
    /// Counts changes; 0 if none was ever set.
    pub generation: i64,
}

/// Every job that is not over.
pub(crate) fn open(tx: &mut dyn Tx) -> Load<Vec<Open>> {
    let rows = tx.query(
        &format!(
            "SELECT {COLUMNS} FROM jobs_jobs j WHERE j.state IN ('queued', 'starting', 'running', 'stopping')
             ORDER BY j.created_ms, j.id"
        ),
        params![],
    )?;
    rows.iter().map(of_row).collect()
}

/// Jobs that held something and ended since then, the newest first.
pub(crate) fn past(tx: &mut dyn Tx, since: Timestamp, limit: u32) -> Load<Vec<Open>> {
    let rows = tx.query(
        &format!(
            "SELECT {COLUMNS} FROM jobs_jobs j WHERE j.ended_ms >= $1 AND j.admitted_ms IS NOT NULL
             ORDER BY j.ended_ms DESC LIMIT $2"
        ),
        params![since, limit],
    )?;
    rows.iter().map(of_row).collect()
}

/// Jobs that changed since the queue last took note, as they are now.
pub(crate) fn changed(tx: &mut dyn Tx, limit: u32) -> Load<Vec<Open>> {
    let rows = tx.query(
        &format!(
            "SELECT {COLUMNS} FROM jobs_changed c JOIN jobs_jobs j ON j.id = c.job_id
             ORDER BY j.created_ms, j.id LIMIT $1"
        ),
        params![limit],
    )?;
    rows.iter().map(of_row).collect()
}

/// Forgets these changes, unless there were others since.
pub(crate) fn forget_changes(tx: &mut dyn Tx, seen: &[(JobId, i64)]) -> Load<()> {
    for (job, generation) in seen {
        tx.execute(
            "DELETE FROM jobs_changed WHERE job_id = $1 AND generation <= $2",
            params![job, *generation],
        )?;
    }
    Ok(())
}

/// Takes down that the job has changed: whoever changes what the queue sees of a job calls this in the same transaction.
pub(super) fn note(tx: &mut dyn Tx, job: &JobId) -> Load<()> {
    tx.execute(
        "INSERT INTO jobs_changed (job_id, generation) SELECT id, generation FROM jobs_jobs WHERE id = $1
         ON CONFLICT (job_id) DO UPDATE SET generation = excluded.generation",
        params![job],
    )?;
    Ok(())
}

/// Records where a waiting job will be; tells whether it still waits as it did.
pub(crate) fn promise(tx: &mut dyn Tx, job: &JobId, generation: i64, promise: &Promise) -> Load<bool> {
    let changed = tx.execute(
        "UPDATE jobs_jobs SET promise = $3, generation = generation + 1
         WHERE id = $1 AND generation = $2 AND state = 'queued'",
        params![job, generation, text(job, promise)?],
    )?;
    if changed > 0 {
        note(tx, job)?;
    }
    Ok(changed > 0)
}

/// Forgets all promises: the queues have changed, and with them who has a right to what.
pub(crate) fn unpromise(tx: &mut dyn Tx) -> Load<()> {
    tx.execute(
        "UPDATE jobs_jobs SET promise = NULL WHERE promise IS NOT NULL AND state = 'queued'",
        params![],
    )?;
    Ok(())
}

/// The queues.
pub(crate) fn queues(tx: &mut dyn Tx) -> Load<StoredQueues> {
    let row = tx.query_opt(
        "SELECT queues, generation FROM jobs_queues WHERE one = 1",
        params![],
    )?;
    let Some(row) = row else {
        return Ok(StoredQueues::default());
    };
    let settings = serde_json::from_str(&row.text("queues")?).map_err(|error| JobsError::BadQueues {
        reason: error.to_string(),
    })?;
    let generation = row.integer("generation")?;
    Ok(StoredQueues { settings, generation })
}

/// Sets the queues.
pub(crate) fn set_queues(tx: &mut dyn Tx, settings: &QueueSettings) -> Load<()> {
    let text = serde_json::to_string(settings).map_err(|error| JobsError::BadQueues {
        reason: error.to_string(),
    })?;
    tx.execute(
        "INSERT INTO jobs_queues (one, queues, generation) VALUES (1, $1, 1)
         ON CONFLICT (one) DO UPDATE SET queues = excluded.queues, generation = jobs_queues.generation + 1",
        params![text],
    )?;
    Ok(())
}

fn of_row(row: &Row) -> Load<Open> {
    let state: JobState = row.parse("state")?;
    let terms: Terms = json(row, "terms")?.unwrap_or_default();
    let each = Resources {
        cpu_milli: row.unsigned("cpu_milli")?,
        memory_bytes: row.unsigned("memory_bytes")?,
        accelerators: small(row, "accelerators")?,
    };
    let created = row.timestamp("created_ms")?;
    let run_ms = row.opt_unsigned("run_ms")?;
    let id: JobId = row.parse("id")?;
    let workers = small(row, "workers")?;
    if workers == 0 {
        return Err(bad(row, "it has no workers"));
    }
    Ok(Open {
        gang: view::gang(id, created, workers, &each, &terms, run_ms),
        generation: row.integer("generation")?,
        is_ending: state == JobState::Stopping || row.opt_text("stop_cause")?.is_some(),
        state,
        placement: json(row, "placement")?.unwrap_or_default(),
        promise: json(row, "promise")?,
        admitted: row.opt_timestamp("admitted_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
    })
}

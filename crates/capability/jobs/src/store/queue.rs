//! What the queue reads and notes: jobs that are not over, which of them changed, what was promised, the queues themselves.

use corliss_metastore::{Row, Tx, params};
use corliss_types::{JobId, Resources, Timestamp};
use serde::{Deserialize, Serialize};

use super::Load;
use super::read::{bad, json, small};
use super::write::text;
use crate::{JobState, JobsError, NodeSettings, Place, QueueSettings, Terms};

const COLUMNS: &str =
    "j.id, j.created_ms, j.workers, j.cpu_milli, j.memory_bytes, j.accelerators, j.terms, j.run_ms,
    j.state, j.generation, j.placement, j.promise, j.admitted_ms, j.ended_ms, j.stop_cause";

/// What a job asks of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub job: JobId,
    pub created: Timestamp,
    pub workers: u32,
    /// Of each worker.
    pub each: Resources,
    pub terms: Terms,
    /// How long it runs in all, in milliseconds, as far as that is known.
    pub run_ms: Option<u64>,
}

/// A job as the queue knows it.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub asked: Asked,
    pub generation: i64,
    pub state: JobState,
    /// Whether it is being ended.
    pub is_ending: bool,
    /// Where each rank is, once admitted.
    pub placement: Vec<Place>,
    /// Where it was told that it will be, if it was.
    pub promise: Option<Promise>,
    pub admitted: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

/// Where each rank of a job will be when those have ended who are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub placement: Vec<Place>,
}

/// The queues and nodes as they were last set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    pub queues: QueueSettings,
    pub nodes: NodeSettings,
    /// Counts changes of both; 0 if none was ever set.
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

/// The queues and nodes.
pub(crate) fn declared(tx: &mut dyn Tx) -> Load<Declared> {
    let row = tx.query_opt(
        "SELECT queues, nodes, generation FROM jobs_queues WHERE one = 1",
        params![],
    )?;
    let Some(row) = row else {
        return Ok(Declared::default());
    };
    let nodes = row.opt_text("nodes")?;
    Ok(Declared {
        queues: serde_json::from_str(&row.text("queues")?).map_err(unreadable)?,
        nodes: nodes
            .map(|text| serde_json::from_str(&text).map_err(unreadable))
            .transpose()?
            .unwrap_or_default(),
        generation: row.integer("generation")?,
    })
}

/// Sets the queues and nodes.
pub(crate) fn declare(tx: &mut dyn Tx, declared: &Declared) -> Load<()> {
    let queues = serde_json::to_string(&declared.queues).map_err(unreadable)?;
    let nodes = serde_json::to_string(&declared.nodes).map_err(unreadable)?;
    tx.execute(
        "INSERT INTO jobs_queues (one, queues, nodes, generation) VALUES (1, $1, $2, 1)
         ON CONFLICT (one) DO UPDATE
             SET queues = excluded.queues, nodes = excluded.nodes, generation = jobs_queues.generation + 1",
        params![queues, nodes],
    )?;
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn unreadable(error: serde_json::Error) -> JobsError {
    JobsError::BadQueues {
        reason: error.to_string(),
    }
}

fn of_row(row: &Row) -> Load<Open> {
    let state: JobState = row.parse("state")?;
    let each = Resources {
        cpu_milli: row.unsigned("cpu_milli")?,
        memory_bytes: row.unsigned("memory_bytes")?,
        accelerators: small(row, "accelerators")?,
    };
    let workers = small(row, "workers")?;
    if workers == 0 {
        return Err(bad(row, "it has no workers"));
    }
    Ok(Open {
        asked: Asked {
            job: row.parse("id")?,
            created: row.timestamp("created_ms")?,
            workers,
            each,
            terms: json(row, "terms")?.unwrap_or_default(),
            run_ms: row.opt_unsigned("run_ms")?,
        },
        generation: row.integer("generation")?,
        is_ending: state == JobState::Stopping || row.opt_text("stop_cause")?.is_some(),
        state,
        placement: json(row, "placement")?.unwrap_or_default(),
        promise: json(row, "promise")?,
        admitted: row.opt_timestamp("admitted_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
    })
}

//! What a driver records, many at a time in one transaction. Each record names the state that it expects
//! and changes nothing if that is not there: then the whole transaction is given up and the driver reads
//! the run anew.

use std::collections::BTreeMap;

use corliss_metastore::{StoreError, Tx, params};
use corliss_policy_pipeline::{FailureClass, Release, RunState, StepState};
use corliss_types::{AttemptNumber, JobId, RunId, Timestamp, TrackingRunId, VersionId};

use crate::error::PipelinesError;
use crate::types::{EndpointState, ModelState};

/// One change of a run. `step` is the index in the file.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    RunStarted,
    /// An attempt is about to be prepared.
    AttemptStarted {
        step: usize,
        attempt: AttemptNumber,
    },
    /// Its job is submitted.
    AttemptSubmitted {
        step: usize,
        attempt: AttemptNumber,
        job: JobId,
    },
    /// Its workers run.
    AttemptRunning {
        step: usize,
        attempt: AttemptNumber,
        started: Timestamp,
    },
    /// Its job succeeded; its outputs are being stored.
    Publishing {
        step: usize,
        attempt: AttemptNumber,
    },
    /// The step succeeded: with its outputs, and as a result for reuse.
    Succeeded {
        step: usize,
        attempt: AttemptNumber,
        outputs: BTreeMap<String, VersionId>,
        cache_key: String,
        started: Option<Timestamp>,
        ended: Timestamp,
    },
    /// The attempt failed; the step waits for what is decided.
    AttemptFailed {
        step: usize,
        attempt: AttemptNumber,
        class: FailureClass,
        reason: String,
        started: Option<Timestamp>,
        ended: Timestamp,
    },
    /// The attempt's job was cancelled; the step waits for what is decided.
    AttemptCancelled {
        step: usize,
        attempt: AttemptNumber,
        started: Option<Timestamp>,
        ended: Timestamp,
    },
    /// An earlier result stands in.
    Reused {
        step: usize,
        from: RunId,
        tracking_run: TrackingRunId,
        outputs: BTreeMap<String, VersionId>,
    },
    /// The step failed, was cancelled or is skipped.
    StepEnded {
        step: usize,
        state: StepState,
        reason: String,
    },
    /// Its tracking run, tokens and lineage are dealt with.
    StepClosed {
        step: usize,
    },
    Model {
        name: String,
        state: ModelState,
        version: Option<u32>,
        reason: Option<String>,
    },
    Endpoint {
        name: String,
        state: EndpointState,
        reason: Option<String>,
    },
    Released {
        release: Release,
        reason: Option<String>,
    },
    RunEnded {
        state: RunState,
        reason: Option<String>,
    },
}

/// Applies the records in their order.
pub(crate) fn apply(
    tx: &mut dyn Tx,
    run: &RunId,
    records: &[Record],
    now: Timestamp,
) -> Result<(), PipelinesError> {
    for record in records {
        let changed = apply_one(tx, run, record, now)?;
        if changed != 1 {
            return Err(PipelinesError::Stale {
                run: run.clone(),
                detail: format!("{record:?}"),
            });
        }
    }
    Ok(())
}

fn apply_one(tx: &mut dyn Tx, run: &RunId, record: &Record, now: Timestamp) -> Result<u64, StoreError> {
    match record {
        Record::RunStarted => tx.execute(
            "UPDATE pipelines_runs SET state = 'running', started_ms = $2 WHERE id = $1 AND state = 'pending'",
            params![run, now],
        ),
        Record::AttemptStarted { step, attempt } => attempt_started(tx, run, *step, *attempt, now),
        Record::AttemptSubmitted { step, attempt, job } => tx.execute(
            "UPDATE pipelines_attempts SET state = 'submitted', job_id = $4
             WHERE run_id = $1 AND step = $2 AND attempt = $3 AND state = 'preparing'",
            params![run, *step, *attempt, job],
        ),
        Record::AttemptRunning { step, attempt, started } => {
            tx.execute(
                "UPDATE pipelines_attempts SET started_ms = $4 WHERE run_id = $1 AND step = $2 AND attempt = $3",
                params![run, *step, *attempt, *started],
            )?;
            tx.execute(
                "UPDATE pipelines_steps SET state = 'running'
                 WHERE run_id = $1 AND step = $2 AND attempt = $3 AND state = 'queued'",
                params![run, *step, *attempt],
            )
        }
        Record::Publishing { step, attempt } => tx.execute(
            "UPDATE pipelines_steps SET state = 'publishing'
             WHERE run_id = $1 AND step = $2 AND attempt = $3 AND state IN ('queued', 'running', 'publishing')",
            params![run, *step, *attempt],
        ),
        Record::Succeeded { .. } => succeeded(tx, run, record, now),
        Record::AttemptFailed { step, attempt, class, reason, started, ended } => {
            let ending = Ending { state: "failed", class: Some(*class), reason: Some(reason), started, ended };
            attempt_ended(tx, run, *step, *attempt, &ending)
        }
        Record::AttemptCancelled { step, attempt, started, ended } => {
            let ending = Ending { state: "cancelled", class: None, reason: None, started, ended };
            attempt_ended(tx, run, *step, *attempt, &ending)
        }
        Record::Reused { step, from, tracking_run, outputs } => {
            insert_outputs(tx, run, *step, outputs)?;
            tx.execute(
                "UPDATE pipelines_steps SET state = 'reused', cached_from = $3, tracking_run = $4, closed = 1,
                     reason = NULL, ended_ms = $5
                 WHERE run_id = $1 AND step = $2 AND state = 'waiting' AND attempt = 0",
                params![run, *step, from, tracking_run, now],
            )
        }
        Record::StepEnded { step, state, reason } => tx.execute(
            "UPDATE pipelines_steps SET state = $3, reason = $4, ended_ms = $5
             WHERE run_id = $1 AND step = $2 AND state = 'waiting'",
            params![run, *step, state.as_str(), reason, now],
        ),
        Record::StepClosed { step } => tx.execute(
            "UPDATE pipelines_steps SET closed = 1 WHERE run_id = $1 AND step = $2",
            params![run, *step],
        ),
        _ => apply_release(tx, run, record, now),
    }
}

fn apply_release(tx: &mut dyn Tx, run: &RunId, record: &Record, now: Timestamp) -> Result<u64, StoreError> {
    match record {
        Record::Model { name, state, version, reason } => tx.execute(
            "UPDATE pipelines_models SET state = $3, version = $4, reason = $5 WHERE run_id = $1 AND name = $2",
            params![run, name, state.as_str(), *version, reason.clone()],
        ),
        Record::Endpoint { name, state, reason } => tx.execute(
            "UPDATE pipelines_endpoints SET state = $3, reason = $4 WHERE run_id = $1 AND name = $2",
            params![run, name, state.as_str(), reason.clone()],
        ),
        Record::Released { release, reason } => {
            let release = match release {
                Release::Pending => "pending",
                Release::Done => "done",
                Release::Failed => "failed",
            };
            tx.execute(
                "UPDATE pipelines_runs SET released = $2, reason = $3
                 WHERE id = $1 AND state = 'running' AND released = 'pending'",
                params![run, release, reason.clone()],
            )
        }
        Record::RunEnded { state, reason } => tx.execute(
            "UPDATE pipelines_runs SET state = $2, reason = COALESCE($3, reason), ended_ms = $4
             WHERE id = $1 AND state = 'running'",
            params![run, state.as_str(), reason.clone(), now],
        ),
        _ => Ok(0),
    }
}

fn attempt_started(
    tx: &mut dyn Tx,
    run: &RunId,
    step: usize,
    attempt: AttemptNumber,
    now: Timestamp,
) -> Result<u64, StoreError> {
    tx.execute(
        "INSERT INTO pipelines_attempts (run_id, step, attempt, state) VALUES ($1, $2, $3, 'preparing')",
        params![run, step, attempt],
    )?;
    tx.execute(
        "UPDATE pipelines_steps SET state = 'queued', attempt = $3, reason = NULL,
             started_ms = COALESCE(started_ms, $4)
         WHERE run_id = $1 AND step = $2 AND state = 'waiting' AND attempt = $3 - 1",
        params![run, step, attempt, now],
    )
}

fn succeeded(tx: &mut dyn Tx, run: &RunId, record: &Record, now: Timestamp) -> Result<u64, StoreError> {
    let Record::Succeeded {
        step,
        attempt,
        outputs,
        cache_key,
        started,
        ended,
    } = record
    else {
        return Ok(0);
    };
    insert_outputs(tx, run, *step, outputs)?;
    tx.execute(
        "UPDATE pipelines_attempts SET state = 'succeeded', started_ms = $4, ended_ms = $5
         WHERE run_id = $1 AND step = $2 AND attempt = $3",
        params![run, *step, *attempt, *started, *ended],
    )?;
    // The newest result stands: an older one may have lost its versions.
    tx.execute(
        "INSERT INTO pipelines_cache (cache_key, run_id, step, created_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (cache_key) DO UPDATE SET run_id = excluded.run_id, step = excluded.step,
             created_ms = excluded.created_ms",
        params![cache_key, run, *step, now],
    )?;
    tx.execute(
        "UPDATE pipelines_steps SET state = 'succeeded', reason = NULL, ended_ms = $4
         WHERE run_id = $1 AND step = $2 AND attempt = $3 AND state IN ('queued', 'running', 'publishing')",
        params![run, *step, *attempt, *ended],
    )
}

fn insert_outputs(
    tx: &mut dyn Tx,
    run: &RunId,
    step: usize,
    outputs: &BTreeMap<String, VersionId>,
) -> Result<(), StoreError> {
    for (name, version) in outputs {
        tx.execute(
            "INSERT INTO pipelines_outputs (run_id, step, name, version) VALUES ($1, $2, $3, $4)",
            params![run, step, name, version],
        )?;
    }
    Ok(())
}

struct Ending<'a> {
    state: &'static str,
    class: Option<FailureClass>,
    reason: Option<&'a String>,
    started: &'a Option<Timestamp>,
    ended: &'a Timestamp,
}

fn attempt_ended(
    tx: &mut dyn Tx,
    run: &RunId,
    step: usize,
    attempt: AttemptNumber,
    ending: &Ending<'_>,
) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE pipelines_attempts SET state = $4, class = $5, reason = $6, started_ms = $7, ended_ms = $8
         WHERE run_id = $1 AND step = $2 AND attempt = $3",
        params![
            run,
            step,
            attempt,
            ending.state,
            ending.class.map(FailureClass::as_str),
            ending.reason.cloned(),
            *ending.started,
            *ending.ended,
        ],
    )?;
    let counts = |class| i64::from(ending.class == Some(class));
    tx.execute(
        "UPDATE pipelines_steps SET state = 'waiting', reason = $4,
             infrastructure_failures = infrastructure_failures + $5, user_failures = user_failures + $6
         WHERE run_id = $1 AND step = $2 AND attempt = $3 AND state IN ('queued', 'running', 'publishing')",
        params![
            run,
            step,
            attempt,
            ending.reason.cloned(),
            counts(FailureClass::Infrastructure),
            counts(FailureClass::User),
        ],
    )
}

/// An earlier result.
#[derive(Debug, Clone)]
pub(crate) struct CacheHit {
    pub(crate) run: RunId,
    pub(crate) tracking_run: TrackingRunId,
    pub(crate) outputs: BTreeMap<String, VersionId>,
}

/// The earlier results under these keys, in their order.
pub(crate) fn cached(tx: &mut dyn Tx, keys: &[String]) -> Result<Vec<Option<CacheHit>>, StoreError> {
    keys.iter().map(|key| cached_one(tx, key)).collect()
}

fn cached_one(tx: &mut dyn Tx, key: &str) -> Result<Option<CacheHit>, StoreError> {
    let found = tx.query_opt(
        "SELECT c.run_id AS run_id, c.step AS step, s.tracking_run AS tracking_run
         FROM pipelines_cache c JOIN pipelines_steps s ON s.run_id = c.run_id AND s.step = c.step
         WHERE c.cache_key = $1",
        params![key],
    )?;
    let Some(row) = found else { return Ok(None) };
    let (run, step): (RunId, i64) = (row.parse("run_id")?, row.integer("step")?);
    let outputs = tx
        .query(
            "SELECT name, version FROM pipelines_outputs WHERE run_id = $1 AND step = $2",
            params![&run, step],
        )?
        .iter()
        .map(|row| Ok((row.text("name")?, row.parse("version")?)))
        .collect::<Result<_, StoreError>>()?;
    Ok(Some(CacheHit {
        run,
        tracking_run: row.parse("tracking_run")?,
        outputs,
    }))
}

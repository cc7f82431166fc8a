//! Changing jobs, always under their generation.

use corliss_metastore::{Tx, params};
use corliss_types::{JobId, TaskId, Timestamp};
use serde::Serialize;

use super::Load;
use super::queue::note;
use crate::{ExitClass, Job, JobState, JobsError, LaunchFacts, Place, StopCause, Task};

/// Inserts the job unless its key is taken; tells whether it did.
pub(crate) fn insert(tx: &mut dyn Tx, job: &Job) -> Load<bool> {
    let spec = &job.spec;
    let inserted = tx.execute(
        "INSERT INTO jobs_jobs (id, key, name, run_id, step, attempt, workers, cpu_milli, memory_bytes,
             accelerators, spec, state, generation, created_ms, terms, run_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (key) DO NOTHING",
        params![
            &job.id,
            &job.key,
            &spec.name,
            spec.run_id.as_ref(),
            spec.step.as_deref(),
            spec.attempt,
            spec.workers,
            spec.resources.cpu_milli,
            spec.resources.memory_bytes,
            spec.resources.accelerators,
            text(&job.id, spec)?,
            job.state.as_str(),
            job.generation,
            job.created,
            text(&job.id, &spec.terms)?,
            spec.terms.run_ms(spec.timeout_ms)
        ],
    )?;
    if inserted > 0 {
        note(tx, &job.id)?;
    }
    Ok(inserted > 0)
}

/// The decision to start a job.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    pub job: JobId,
    pub generation: i64,
    pub placement: Vec<Place>,
    pub boot_id: String,
    /// By rank.
    pub tasks: Vec<TaskId>,
}

/// Records the decision and the ids of the tasks; tells whether the job was still waiting.
pub(crate) fn admit(tx: &mut dyn Tx, admission: &Admission, now: Timestamp) -> Load<bool> {
    let changed = tx.execute(
        "UPDATE jobs_jobs SET state = 'starting', placement = $3, admitted_ms = $4, boot_id = $5, generation = generation + 1
         WHERE id = $1 AND generation = $2 AND state = 'queued'",
        params![&admission.job, admission.generation, text(&admission.job, &admission.placement)?, now, &admission.boot_id],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    for (rank, task) in admission.tasks.iter().enumerate() {
        tx.execute(
            "INSERT INTO jobs_tasks (id, job_id, rank, phase) VALUES ($1, $2, $3, 'pending')",
            params![task, &admission.job, rank],
        )?;
    }
    note(tx, &admission.job)?;
    Ok(true)
}

/// What becomes of a job; absent parts stay.
#[derive(Debug, Clone)]
pub(crate) struct JobChange {
    pub job: JobId,
    pub generation: i64,
    pub state: JobState,
    pub reason: Option<String>,
    pub class: Option<ExitClass>,
    pub stop_cause: Option<StopCause>,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// When the newest checkpoint was begun that it leaves.
    pub saved: Option<Timestamp>,
    /// As they are now.
    pub tasks: Vec<Task>,
}

/// Applies the change if nobody changed the job since; tells whether it did.
pub(crate) fn apply(tx: &mut dyn Tx, change: &JobChange) -> Load<bool> {
    let changed = tx.execute(
        "UPDATE jobs_jobs SET state = $3, reason = COALESCE($4, reason), class = COALESCE($5, class),
             stop_cause = COALESCE(stop_cause, $6), started_ms = COALESCE(started_ms, $7),
             ended_ms = COALESCE(ended_ms, $8), saved_ms = COALESCE(saved_ms, $9), generation = generation + 1
         WHERE id = $1 AND generation = $2",
        params![
            &change.job,
            change.generation,
            change.state.as_str(),
            change.reason.as_deref(),
            change.class.map(ExitClass::as_str),
            change.stop_cause.map(StopCause::as_str),
            change.started,
            change.ended,
            change.saved
        ],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    for task in &change.tasks {
        let exit = task
            .exit
            .as_ref()
            .map(|exit| text(&change.job, exit))
            .transpose()?;
        tx.execute(
            "UPDATE jobs_tasks SET phase = $2, pid = $3, exit = $4 WHERE id = $1",
            params![&task.id, task.phase.as_str(), task.pid, exit],
        )?;
    }
    note(tx, &change.job)?;
    Ok(true)
}

/// Records what all ranks share; the first record stays.
pub(crate) fn set_launch(tx: &mut dyn Tx, job: &JobId, facts: &LaunchFacts) -> Load<()> {
    tx.execute(
        "UPDATE jobs_jobs SET launch = $2, generation = generation + 1 WHERE id = $1 AND launch IS NULL",
        params![job, text(job, facts)?],
    )?;
    note(tx, job)
}

/// Asks for a job to be ended. One that waits is over at once; one that runs is marked for the reconciler.
pub(crate) fn request_stop(tx: &mut dyn Tx, job: &Job, cause: StopCause, now: Timestamp) -> Load<()> {
    if job.state == JobState::Queued {
        tx.execute(
            "UPDATE jobs_jobs SET state = 'cancelled', reason = 'it was cancelled while it waited',
                 stop_cause = $2, ended_ms = $3, generation = generation + 1
             WHERE id = $1 AND state = 'queued'",
            params![&job.id, cause.as_str(), now],
        )?;
    } else if job.state.is_active() {
        tx.execute(
            "UPDATE jobs_jobs SET stop_cause = $2, generation = generation + 1
             WHERE id = $1 AND stop_cause IS NULL",
            params![&job.id, cause.as_str()],
        )?;
    }
    note(tx, &job.id)
}

/// Ends a job that runs so that another gets what it holds; tells whether it still ran as it did. `reason` says for whom.
pub(crate) fn preempt(tx: &mut dyn Tx, job: &JobId, generation: i64, reason: &str) -> Load<bool> {
    let changed = tx.execute(
        "UPDATE jobs_jobs SET stop_cause = $3, reason = $4, generation = generation + 1
         WHERE id = $1 AND generation = $2 AND stop_cause IS NULL AND state IN ('starting', 'running')",
        params![job, generation, StopCause::Preempted.as_str(), reason],
    )?;
    if changed > 0 {
        note(tx, job)?;
    }
    Ok(changed > 0)
}

/// Ends a job that runs as failed by its program, for a reason that its tasks' exits do not tell.
pub(crate) fn give_up(tx: &mut dyn Tx, job: &Job, reason: &str) -> Load<()> {
    if job.state.is_active() {
        tx.execute(
            "UPDATE jobs_jobs SET stop_cause = $2, reason = $3, class = $4, generation = generation + 1
             WHERE id = $1 AND stop_cause IS NULL",
            params![
                &job.id,
                StopCause::StartFailed.as_str(),
                reason,
                ExitClass::User.as_str()
            ],
        )?;
    }
    note(tx, &job.id)
}

pub(super) fn text(job: &JobId, value: &impl Serialize) -> Load<String> {
    serde_json::to_string(value).map_err(|error| JobsError::BadRow {
        job: job.to_string(),
        reason: error.to_string(),
    })
}

//! Reading what a worker wrote.

use corliss_executor::logs::{self, LogLine, LogQuery, LogStart, LogStream};
use corliss_types::JobId;

use super::{Jobs, blocking};
use crate::{Job, JobsError, TaskPhase, launch, store};

/// Which lines to read.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// Of which worker.
    pub rank: u32,
    /// Of which output; both if absent.
    pub stream: Option<LogStream>,
    /// Of another attempt at the same step than the job's own.
    pub attempt: Option<u32>,
    /// Where to start.
    pub start: LogStart,
    /// At most this many lines.
    pub limit: usize,
}

/// Some lines.
#[derive(Debug, Clone, Default)]
pub struct LogSlice {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Where the next slice starts.
    pub next_offset: u64,
    /// Bytes that were asked for but are kept no longer.
    pub skipped_bytes: u64,
    /// Whether nothing will follow.
    pub ended: bool,
}

impl Jobs {
    /// Lines of a worker's log. A worker that has not started has written nothing yet.
    ///
    /// # Errors
    /// There is no such job, attempt or rank, or the log cannot be read.
    pub async fn logs(&self, id: &JobId, request: LogRequest) -> Result<LogSlice, JobsError> {
        let job = self.attempt(id, request.attempt).await?;
        if request.rank >= job.spec.workers {
            return Err(JobsError::NoSuchRank {
                job: job.id,
                workers: job.spec.workers,
                rank: request.rank,
            });
        }
        let Some(task) = job.tasks.iter().find(|task| task.rank == request.rank) else {
            let start = match request.start {
                LogStart::Offset(offset) => offset,
                LogStart::Tail(_) => 0,
            };
            return Ok(LogSlice {
                next_offset: start,
                ended: job.state.is_final(),
                ..LogSlice::default()
            });
        };
        // Asked before the lines are read: a task that ended before this look writes no more.
        let task_ended = task.phase == TaskPhase::Exited || job.state.is_final();
        let dir = launch::task_dir(&self.config, task);
        let query = LogQuery {
            start: request.start,
            stream: request.stream,
            max_lines: request.limit,
        };
        let page = blocking(move || Ok(logs::read(&dir, &query)?)).await?;
        Ok(LogSlice {
            ended: task_ended && page.at_end,
            lines: page.lines,
            next_offset: page.next_offset,
            skipped_bytes: page.skipped_bytes,
        })
    }

    async fn attempt(&self, id: &JobId, attempt: Option<u32>) -> Result<Job, JobsError> {
        let job = self.load(id).await?;
        let (Some(attempt), Some(run), Some(step)) =
            (attempt, job.spec.run_id.clone(), job.spec.step.clone())
        else {
            return Ok(job);
        };
        if attempt == job.spec.attempt {
            return Ok(job);
        }
        let missing = JobsError::NotFound {
            job: format!("for attempt {attempt} of step {step}"),
        };
        self.store
            .read(move |tx| store::sibling(tx, &run, &step, attempt))
            .await?
            .ok_or(missing)
    }
}

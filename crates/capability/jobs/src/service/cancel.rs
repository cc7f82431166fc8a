//! Ending jobs on request.

use std::sync::atomic::Ordering;
use std::time::Duration;

use corliss_metastore::Tx;
use corliss_types::JobId;

use super::Jobs;
use crate::{Job, JobsError, StopCause, store};

impl Jobs {
    /// Asks for a job to be ended. One that waits is cancelled at once; one that runs gets SIGTERM, its
    /// grace, SIGKILL. One that has ended stays as it ended. Durable when this returns.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn cancel(&self, id: &JobId) -> Result<Job, JobsError> {
        self.request_stop(id, StopCause::Cancel).await
    }

    /// Ends a job whose program runs but cannot do its work, an engine that cannot load its model: it has
    /// failed, for this reason. One that waits is cancelled, one that has ended stays as it ended.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn give_up(&self, id: &JobId, reason: &str) -> Result<Job, JobsError> {
        let (reason, now) = (reason.to_owned(), self.sources.clock.now());
        self.change(id, move |tx, job| {
            store::give_up(tx, job, &reason)?;
            store::request_stop(tx, job, StopCause::Cancel, now)
        })
        .await
    }

    async fn request_stop(&self, id: &JobId, cause: StopCause) -> Result<Job, JobsError> {
        let now = self.sources.clock.now();
        self.change(id, move |tx, job| store::request_stop(tx, job, cause, now))
            .await
    }

    async fn change(
        &self,
        id: &JobId,
        mut change: impl FnMut(&mut dyn Tx, &Job) -> Result<(), JobsError> + Send + 'static,
    ) -> Result<Job, JobsError> {
        let wanted = id.clone();
        let (job, is_changed) = self
            .store
            .write(move |tx| {
                let missing = || JobsError::NotFound {
                    job: wanted.to_string(),
                };
                let before = store::by_id(tx, &wanted)?.ok_or_else(missing)?;
                change(tx, &before)?;
                let after = store::by_id(tx, &wanted)?.ok_or_else(missing)?;
                let is_changed = after.generation != before.generation;
                Ok::<_, JobsError>((after, is_changed))
            })
            .await?;
        // Whoever asks at every signal until the job has ended would otherwise ask without pause.
        if is_changed {
            self.lifecycle.signal();
            self.admission.signal();
            self.signal_changed(Some(&job));
        }
        Ok(job)
    }

    /// Ends every job that holds resources, because the server goes down and takes its tasks along; admits
    /// no other. They count as failed by infrastructure, so pipelines go on with a new attempt after the
    /// next start. Returns once all have ended, or after `patience`; answers how many have not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn interrupt_all(&self, patience: Duration) -> Result<usize, JobsError> {
        self.closed.store(true, Ordering::SeqCst);
        let mut changes = self.changed().listen();
        let begun = self.sources.clock.monotonic();
        loop {
            changes.forget();
            let active = self.store.read(store::active).await?;
            let left = patience.saturating_sub(self.sources.clock.monotonic().saturating_sub(begun));
            if active.is_empty() || left.is_zero() {
                return Ok(active.len());
            }
            for job in active.iter().filter(|job| job.stop_cause.is_none()) {
                self.request_stop(&job.id, StopCause::Interrupt).await?;
            }
            let _ = tokio::time::timeout(left.min(Duration::from_millis(200)), changes.wait()).await;
        }
    }
}

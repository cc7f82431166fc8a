//! Looking at jobs.

use corliss_types::{JobId, RunId};

use super::Jobs;
use crate::{Job, JobState, JobsError, store};

/// Most jobs of one page.
pub(crate) const PAGE_MAX: u32 = 1000;

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this pipeline run.
    pub run_id: Option<RunId>,
    /// Only older than this one.
    pub before: Option<JobId>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The `before` of the next page, if there is one.
    pub next: Option<JobId>,
}

impl Jobs {
    /// One job with its tasks.
    ///
    /// # Errors
    /// There is none.
    pub async fn get(&self, id: &JobId) -> Result<Job, JobsError> {
        self.load(id).await
    }

    /// The job that was submitted under this key, if one was.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, key: &str) -> Result<Option<Job>, JobsError> {
        let key = key.to_owned();
        self.store.read(move |tx| store::by_key(tx, &key)).await
    }

    /// Those of these jobs that exist.
    ///
    /// # Errors
    /// The store failed.
    pub async fn get_many(&self, ids: &[JobId]) -> Result<Vec<Job>, JobsError> {
        let ids = ids.to_vec();
        self.store
            .read(move |tx| {
                ids.iter()
                    .filter_map(|id| store::by_id(tx, id).transpose())
                    .collect()
            })
            .await
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, filter: JobFilter, limit: u32) -> Result<JobPage, JobsError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut jobs = self
            .store
            .read(move |tx| store::list(tx, &filter, limit + 1))
            .await?;
        let more = jobs.len() > limit as usize;
        jobs.truncate(limit as usize);
        let next = jobs.last().filter(|_| more).map(|job| job.id.clone());
        Ok(JobPage { jobs, next })
    }

    /// Waits until the job has reached its final state.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn wait(&self, id: &JobId) -> Result<Job, JobsError> {
        let mut changes = self.changed().listen();
        loop {
            changes.forget();
            let job = self.load(id).await?;
            if job.state.is_final() {
                return Ok(job);
            }
            // A signal may be lost with the process that sent it, hence the period.
            let _ = tokio::time::timeout(super::PERIOD, changes.wait()).await;
        }
    }
}

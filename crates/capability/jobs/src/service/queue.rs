//! The queue as people see it: what waits and why, what runs, what is free.

use corliss_policy_scheduling::{Refusal, Scheduler, Shortage, Wait};
use corliss_types::{JobId, Resources};

use super::Jobs;
use crate::view::{self, Holder};
use crate::{Job, JobsError, store, text};

/// More waiting jobs than anyone reads; the rest is there, but not in the answer.
const SHOWN_MAX: u32 = 1000;

/// What holds and what waits for resources.
#[derive(Debug, Clone)]
pub struct QueueView {
    /// What there is.
    pub total: Resources,
    /// What is free now.
    pub free: Resources,
    /// Waiting jobs, first come first.
    pub waiting: Vec<QueueItem>,
    /// Jobs that hold resources.
    pub running: Vec<Job>,
}

/// A job that waits.
#[derive(Debug, Clone)]
pub struct QueueItem {
    /// Place in the queue; the first is 1.
    pub position: u32,
    /// The job.
    pub job: Job,
    /// What all its workers ask for together.
    pub needs: Resources,
    /// Why it waits, as one sentence.
    pub reason: String,
    /// How long it has waited, in milliseconds.
    pub waiting_ms: u64,
}

/// What was decided for the whole queue, and from what.
pub(super) struct Outlook {
    pub refusals: Vec<Refusal>,
    pub scheduler: Scheduler,
    pub free: Resources,
    pub waiting: Vec<Job>,
    pub running: Vec<Job>,
}

impl Jobs {
    /// The queue now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn queue(&self) -> Result<QueueView, JobsError> {
        let outlook = self.outlook().await?;
        let now = self.sources.clock.now();
        let waiting = (1..).zip(&outlook.waiting).map(|(position, job)| QueueItem {
            position,
            needs: job.spec.resources.times(job.spec.workers.max(1)),
            reason: outlook.reason(job),
            waiting_ms: now.since(job.created).0,
            job: job.clone(),
        });
        Ok(QueueView {
            total: self.inventory.total,
            free: outlook.free,
            waiting: waiting.collect(),
            running: outlook.running.clone(),
        })
    }

    /// What there is and what is free now, without the queue.
    ///
    /// # Errors
    /// The store failed.
    pub async fn free(&self) -> Result<Resources, JobsError> {
        let holders = self.store.read(store::holders).await?;
        Ok(self.beside(&holders))
    }

    fn beside(&self, holders: &[Holder]) -> Resources {
        let held = holders.iter().fold((0_i64, 0_i64, 0_i64), |sum, holder| {
            let wanted = &holder.gang.wanted;
            let times = |each: i64| each.saturating_mul(wanted.least.into());
            (
                sum.0.saturating_add(times(wanted.ask.cpu_milli)),
                sum.1.saturating_add(times(wanted.ask.memory)),
                sum.2.saturating_add(times(wanted.ask.share.milli())),
            )
        });
        let unsigned = |amount: i64| u64::try_from(amount).unwrap_or(0);
        self.inventory.total.minus(&Resources {
            cpu_milli: unsigned(held.0),
            memory_bytes: unsigned(held.1),
            accelerators: u32::try_from(held.2 / 1_000).unwrap_or(u32::MAX),
        })
    }

    pub(super) async fn outlook(&self) -> Result<Outlook, JobsError> {
        let (waiting, running, holders) = self
            .store
            .read(|tx| {
                Ok::<_, JobsError>((
                    store::waiting(tx, SHOWN_MAX)?,
                    store::active(tx)?,
                    store::holders(tx)?,
                ))
            })
            .await?;
        let queued = waiting.iter().map(|job| {
            let spec = &job.spec;
            view::gang(job.id.clone(), job.created, spec.workers, &spec.resources)
        });
        let free = self.beside(&holders);
        let view = view::view(
            &self.inventory,
            self.sources.clock.now(),
            holders,
            queued.collect(),
        );
        let mut scheduler = Scheduler::of(&view);
        let plan = scheduler.decide(view.now);
        Ok(Outlook {
            refusals: plan.refusals,
            scheduler,
            free,
            waiting,
            running,
        })
    }
}

impl Outlook {
    /// Why this job waits, as one sentence.
    pub(super) fn reason(&self, job: &Job) -> String {
        if let Some(refusal) = self.refusals.iter().find(|refusal| refusal.job == job.id) {
            return format!("it can never start here: {}", text::never(&refusal.reason));
        }
        match self.scheduler.wait(&job.id) {
            Some(Wait::Behind { job: first }) => {
                let behind = match self.scheduler.ahead(&job.id).unwrap_or(1) {
                    0 | 1 => format!("it waits behind {}", self.named(&first)),
                    ahead => format!(
                        "it waits behind {ahead} jobs, of which {} is first",
                        self.named(&first)
                    ),
                };
                match self.shortages(&first).first() {
                    Some(shortage) => format!("{behind}, which needs {}", text::needs_but_free(shortage)),
                    None => behind,
                }
            }
            Some(_) => match self.shortages(&job.id).first() {
                Some(shortage) => format!(
                    "it is first in the queue and needs {}",
                    text::needs_but_free(shortage)
                ),
                None => "it is first in the queue".to_owned(),
            },
            None => "it fits and is about to start".to_owned(),
        }
    }

    /// What too little is free of for a job that waits for that.
    pub(super) fn shortages(&self, job: &JobId) -> Vec<Shortage> {
        match self.scheduler.wait(job) {
            Some(Wait::NotEnoughFree { shortages, .. }) => shortages,
            _ => Vec::new(),
        }
    }

    fn named(&self, id: &JobId) -> String {
        match self.waiting.iter().find(|job| job.id == *id) {
            Some(job) => format!("'{}' ({id})", job.spec.name),
            None => id.to_string(),
        }
    }
}

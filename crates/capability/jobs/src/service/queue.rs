//! The queue as people see it: what waits and why, what runs, what is free.

use corliss_policy_scheduling::{Plan, QueuedGang, View, WaitReason, decide};
use corliss_types::{JobId, Resources};

use super::Jobs;
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
    pub plan: Plan,
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
        let gangs = self.store.read(store::running_gangs).await?;
        let held = gangs
            .iter()
            .map(|gang| gang.per_worker.times(gang.workers.max(1)));
        Ok(self
            .inventory
            .total
            .minus(&held.fold(Resources::default(), |sum, gang| sum.plus(&gang))))
    }

    pub(super) async fn outlook(&self) -> Result<Outlook, JobsError> {
        let (waiting, running, gangs) = self
            .store
            .read(|tx| {
                Ok::<_, JobsError>((
                    store::waiting(tx, SHOWN_MAX)?,
                    store::active(tx)?,
                    store::running_gangs(tx)?,
                ))
            })
            .await?;
        let queued = waiting.iter().map(|job| QueuedGang {
            job: job.id.clone(),
            submitted: job.created,
            workers: job.spec.workers,
            per_worker: job.spec.resources,
        });
        let held = gangs
            .iter()
            .map(|gang| gang.per_worker.times(gang.workers.max(1)));
        let free = self
            .inventory
            .total
            .minus(&held.fold(Resources::default(), |sum, gang| sum.plus(&gang)));
        let plan = decide(&View {
            machine: self.machine(),
            queued: queued.collect(),
            running: gangs,
        });
        Ok(Outlook {
            plan,
            free,
            waiting,
            running,
        })
    }
}

impl Outlook {
    /// Why this job waits, as one sentence.
    pub(super) fn reason(&self, job: &Job) -> String {
        if let Some(refusal) = self.plan.refusals.iter().find(|refusal| refusal.job == job.id) {
            return format!(
                "it can never start here: {}",
                text::larger_than_machine(&refusal.shortages)
            );
        }
        match self
            .plan
            .waits
            .iter()
            .find(|wait| wait.job == job.id)
            .map(|wait| &wait.reason)
        {
            Some(WaitReason::NotEnoughFree { shortages }) => match shortages.first() {
                Some(shortage) => format!(
                    "it is first in the queue and needs {}",
                    text::needs_but_free(shortage)
                ),
                None => "it is first in the queue".to_owned(),
            },
            Some(WaitReason::Behind {
                first,
                ahead,
                shortages,
            }) => {
                let behind = match ahead {
                    1 => format!("it waits behind {}", self.named(first)),
                    _ => format!(
                        "it waits behind {ahead} jobs, of which {} is first",
                        self.named(first)
                    ),
                };
                match shortages.first() {
                    Some(shortage) => format!("{behind}, which needs {}", text::needs_but_free(shortage)),
                    None => behind,
                }
            }
            None => "it fits and is about to start".to_owned(),
        }
    }

    fn named(&self, id: &JobId) -> String {
        match self.waiting.iter().find(|job| job.id == *id) {
            Some(job) => format!("'{}' ({id})", job.spec.name),
            None => id.to_string(),
        }
    }
}

//! The queues as people see them: what waits and why, what runs, what is free.

use std::collections::BTreeMap;

use corliss_policy_scheduling::{Refusal, Scheduler, Shortage, Wait};
use corliss_types::{JobId, Resources};

use super::{Jobs, blocking};
use crate::live::{Live, News};
use crate::nodes::Floor;
use crate::{Job, JobState, JobsError, Terms, store, text};

/// More waiting jobs than anyone reads; the rest is there, but not in the answer.
const SHOWN_MAX: usize = 1000;

/// What holds and what waits for resources.
#[derive(Debug, Clone)]
pub struct QueueView {
    /// What there is.
    pub total: Resources,
    /// What is free now.
    pub free: Resources,
    /// Waiting jobs, by queue and turn.
    pub waiting: Vec<QueueItem>,
    /// Jobs that hold resources.
    pub running: Vec<Job>,
}

/// A job that waits.
#[derive(Debug, Clone)]
pub struct QueueItem {
    /// Place in its queue; the first is 1.
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

/// What was decided for all queues, and from what.
pub(super) struct Outlook {
    pub refusals: Vec<Refusal>,
    pub scheduler: Scheduler,
    /// The nodes that it was decided on.
    pub floor: Floor,
    /// Those whose turn is next, in each queue.
    pub waiting: Vec<Job>,
    pub running: Vec<Job>,
    /// What they are called in sentences.
    pub names: BTreeMap<JobId, String>,
}

impl Jobs {
    /// The queues now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn queue(&self) -> Result<QueueView, JobsError> {
        let outlook = self.outlook().await?;
        let now = self.sources.clock.now();
        let waiting = outlook.waiting.iter().map(|job| QueueItem {
            position: outlook.position(&job.id),
            needs: job.spec.resources.times(job.spec.workers.max(1)),
            reason: outlook.reason(&job.id, &job.spec.terms),
            waiting_ms: now.since(job.created).0,
            job: job.clone(),
        });
        Ok(QueueView {
            total: self.inventory.total,
            free: self.beside(&outlook.running),
            waiting: waiting.collect(),
            running: outlook.running.clone(),
        })
    }

    /// What there is and what is free now, without the queue.
    ///
    /// # Errors
    /// The store failed.
    pub async fn free(&self) -> Result<Resources, JobsError> {
        let running = self.store.read(store::active).await?;
        Ok(self.beside(&running))
    }

    fn beside(&self, running: &[Job]) -> Resources {
        running.iter().fold(self.inventory.total, |free, job| {
            free.minus(&job.spec.resources.times(job.spec.workers.max(1)))
        })
    }

    /// What is decided when `live`, or one made anew, is told all that has happened; none if the two do not go together.
    async fn ahead_of(
        &self,
        live: Option<Live>,
    ) -> Result<Option<(Scheduler, Floor, Vec<Refusal>)>, JobsError> {
        let now = self.sources.clock.now();
        let generation = live.as_ref().map(Live::declared_generation);
        let news = self.store.read(move |tx| News::read(tx, generation, now)).await?;
        let inventory = self.inventory.clone();
        let decided = blocking(move || {
            let told = Live::told(live, &news, &inventory, now);
            Ok(told.map(|mut told| {
                let plan = told.decide(&news, now);
                (told.scheduler, told.floor, plan.refusals)
            }))
        });
        decided.await
    }

    pub(super) async fn outlook(&self) -> Result<Outlook, JobsError> {
        let live = self.live.lock().await.clone();
        let (scheduler, floor, refusals) = match self.ahead_of(live).await? {
            Some(decided) => decided,
            // A change that does not go with what the scheduler knows has it made anew.
            None => self.ahead_of(None).await?.ok_or(JobsError::Interrupted)?,
        };
        let mut first: Vec<JobId> = scheduler.first_waiting(SHOWN_MAX);
        first.extend(refusals.iter().map(|refusal| refusal.job.clone()));
        let (mut waiting, running) = self
            .store
            .read(move |tx| Ok::<_, JobsError>((store::many(tx, &first)?, store::active(tx)?)))
            .await?;
        waiting.retain(|job| job.state == JobState::Queued);
        waiting.sort_by_cached_key(|job| {
            let ahead = scheduler.ahead(&job.id).unwrap_or(0);
            (job.spec.terms.queue.clone(), ahead, job.created)
        });
        let names = waiting.iter().chain(&running);
        Ok(Outlook {
            names: names
                .map(|job| (job.id.clone(), format!("'{}' ({})", job.spec.name, job.id)))
                .collect(),
            refusals,
            scheduler,
            floor,
            waiting,
            running,
        })
    }
}

impl Outlook {
    /// Its place in its queue; the first is 1.
    pub(super) fn position(&self, job: &JobId) -> u32 {
        let ahead = self.scheduler.ahead(job).unwrap_or(0);
        u32::try_from(ahead.saturating_add(1)).unwrap_or(u32::MAX)
    }

    /// Why this job waits on these terms, as one sentence.
    pub(super) fn reason(&self, job: &JobId, terms: &Terms) -> String {
        if let Some(refusal) = self.refusals.iter().find(|refusal| refusal.job == *job) {
            return format!("it can never start here: {}", text::never(&refusal.reason, terms));
        }
        let Some(wait) = self.scheduler.wait(job) else {
            return "it fits and is about to start".to_owned();
        };
        match wait {
            Wait::Behind { job: first } => {
                let behind = match self.scheduler.ahead(job).unwrap_or(1) {
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
            Wait::NotEnoughFree { shortages, .. } => {
                let place = match self.scheduler.ahead(job) {
                    None | Some(0) => "it is first in the queue",
                    Some(_) => "it is its turn",
                };
                let sentence = match shortages.first() {
                    Some(shortage) => format!("{place} and needs {}", text::needs_but_free(shortage)),
                    None => format!("{place}, and {}", text::no_room(terms, "has enough free")),
                };
                match self.floor.closed().map(str::to_owned).collect::<Vec<_>>() {
                    closed if closed.is_empty() => sentence,
                    closed => format!("{sentence}, with {} drained", text::list(closed)),
                }
            }
            Wait::KeptFree { job: other, .. } => {
                format!(
                    "it would make {} wait longer, which came before",
                    self.named(&other)
                )
            }
            Wait::OverQuota { over } => text::over_quota(&terms.queue, &over),
            Wait::Promised { victims } => match victims.first() {
                Some(victim) => format!("it starts as soon as {} has made room", self.named(victim)),
                None => "it starts as soon as the room that was made for it is free".to_owned(),
            },
            Wait::NotBefore { at } => format!("it is not to start before {}", at.rfc3339()),
            Wait::Undecided => "it is about to be decided on".to_owned(),
        }
    }

    /// What too little is free of for a job that waits for that.
    pub(super) fn shortages(&self, job: &JobId) -> Vec<Shortage> {
        match self.scheduler.wait(job) {
            Some(Wait::NotEnoughFree { shortages, .. }) => shortages,
            _ => Vec::new(),
        }
    }

    pub(super) fn named(&self, id: &JobId) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.to_string())
    }
}

//! The queues themselves: shown, changed, and what a change would do before it is made.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_policy_scheduling::Scheduler;
use corliss_types::{JobId, Resources};
use serde::{Deserialize, Serialize};

use super::{Jobs, blocking};
use crate::nodes::Floor;
use crate::{Job, JobState, JobsError, QueueSettings, store, text, view};

/// The queues, and how each is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueuesView {
    /// As they are declared; this is what a change is made from.
    pub settings: QueueSettings,
    /// How they are used, by name.
    pub usage: BTreeMap<String, QueueUsage>,
}

/// How a queue is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueUsage {
    /// Jobs that wait in it.
    pub waiting: u64,
    /// Jobs of it that hold resources.
    pub running: u64,
    /// What those hold.
    pub held: Resources,
}

/// What would follow at once from other queues or nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Jobs that would start.
    pub starts: Vec<Affected>,
    /// Jobs that would be stopped, each for another.
    pub stops: Vec<Affected>,
    /// Jobs that could never start any more, and so would fail.
    pub refusals: Vec<Affected>,
}

/// A job that a change would do something to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// For whom it would be stopped, or why it could never start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Jobs {
    /// The queues as they are declared.
    ///
    /// # Errors
    /// The store failed.
    pub async fn queue_settings(&self) -> Result<QueueSettings, JobsError> {
        Ok(self.store.read(store::declared).await?.queues)
    }

    /// The queues, and how each is used.
    ///
    /// # Errors
    /// The store failed.
    pub async fn queues(&self) -> Result<QueuesView, JobsError> {
        let (settings, open) = self
            .store
            .read(|tx| Ok::<_, JobsError>((store::declared(tx)?.queues, store::open(tx)?)))
            .await?;
        let mut usage: BTreeMap<String, QueueUsage> = settings
            .names()
            .map(|name| (name.to_owned(), QueueUsage::default()))
            .collect();
        for job in &open {
            let of_queue = usage.entry(job.asked.terms.queue.clone()).or_default();
            if job.state == JobState::Queued {
                of_queue.waiting += 1;
            } else {
                of_queue.running += 1;
                of_queue.held = of_queue.held.plus(&view::held(&job.asked));
            }
        }
        Ok(QueuesView { settings, usage })
    }

    /// What would follow at once if these were the queues. Nothing is changed.
    ///
    /// # Errors
    /// They cannot be the queues; the store failed.
    pub async fn preview_queues(&self, settings: QueueSettings) -> Result<Effect, JobsError> {
        settings.check()?;
        let changed = self.store.read(move |tx| {
            can_go(tx, &settings)?;
            Ok::<_, JobsError>(store::Declared {
                queues: settings.clone(),
                ..store::declared(tx)?
            })
        });
        self.effect(changed.await?).await
    }

    /// What would follow at once from these queues and nodes.
    pub(super) async fn effect(&self, declared: store::Declared) -> Result<Effect, JobsError> {
        let now = self.sources.clock.now();
        let floor = Floor::of(&self.inventory, &declared.nodes);
        let mut view = view::empty(&floor, &declared.queues, now);
        for mut job in self.store.read(store::open).await? {
            // What was promised is given up with the queues and nodes that it was promised by.
            job.promise = None;
            view::add(&mut view, &floor, &job);
        }
        let plan = blocking(move || Ok(Scheduler::of(&view).decide(now))).await?;
        let starts = plan.starts.into_iter().map(|start| (start.job, None));
        let stops = plan.preemptions.into_iter();
        let stops = stops.map(|stopped| (stopped.job, Some(format!("for {}", stopped.for_job))));
        let mut refusals = Vec::with_capacity(plan.refusals.len());
        for refusal in plan.refusals {
            let job = self.load(&refusal.job).await?;
            let reason = text::never(&refusal.reason, &job.spec.terms);
            refusals.push((refusal.job, Some(reason)));
        }
        Ok(Effect {
            starts: self.affected(starts.collect()).await?,
            stops: self.affected(stops.collect()).await?,
            refusals: self.affected(refusals).await?,
        })
    }

    pub(super) async fn affected(
        &self,
        jobs: Vec<(JobId, Option<String>)>,
    ) -> Result<Vec<Affected>, JobsError> {
        let ids: Vec<JobId> = jobs.iter().map(|(id, _)| id.clone()).collect();
        let known: Vec<Job> = self.store.read(move |tx| store::many(tx, &ids)).await?;
        let names: BTreeMap<JobId, String> = known.into_iter().map(|job| (job.id, job.spec.name)).collect();
        let told = jobs.into_iter().map(|(job_id, reason)| Affected {
            name: names.get(&job_id).cloned().unwrap_or_default(),
            job_id,
            reason,
        });
        Ok(told.collect())
    }

    /// Makes these the queues. Durable when this returns; jobs that wait are decided on anew.
    ///
    /// # Errors
    /// They cannot be the queues: a field is wrong, or jobs wait or run in one that would go.
    pub async fn set_queues(&self, settings: QueueSettings) -> Result<(), JobsError> {
        settings.check()?;
        self.declare(move |tx, declared| {
            can_go(tx, &settings)?;
            declared.queues.clone_from(&settings);
            Ok(())
        })
        .await
    }

    /// Changes queues or nodes, durably; jobs that wait are decided on anew.
    pub(super) async fn declare(
        &self,
        mut change: impl FnMut(&mut dyn Tx, &mut store::Declared) -> Result<(), JobsError> + Send + 'static,
    ) -> Result<(), JobsError> {
        self.store
            .write(move |tx| {
                let mut declared = store::declared(tx)?;
                change(tx, &mut declared)?;
                store::unpromise(tx)?;
                store::declare(tx, &declared)
            })
            .await?;
        self.admission.signal();
        self.signal_changed(None);
        Ok(())
    }
}

/// A queue that jobs wait or run in does not go.
fn can_go(tx: &mut dyn Tx, settings: &QueueSettings) -> Result<(), JobsError> {
    let mut stay: BTreeMap<String, u64> = BTreeMap::new();
    for job in store::open(tx)? {
        if !settings.is_known(&job.asked.terms.queue) {
            *stay.entry(job.asked.terms.queue).or_default() += 1;
        }
    }
    match stay.into_iter().next() {
        Some((queue, jobs)) => Err(JobsError::QueueInUse { queue, jobs }),
        None => Ok(()),
    }
}

//! Admission: shows the queue to the policy and records which gangs start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use corliss_policy_scheduling::{Plan, decide, invariants};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};
use corliss_types::{JobId, TaskId, Timestamp};

use crate::service::Jobs;
use crate::{ExitClass, JobState, JobsError, store, text, view};

/// Only the head of the queue can start, so only the head is read; if all of it starts, the next head is.
const HEAD: u32 = 128;
/// Heads of one round; more wait for the next, which follows at once.
const HEADS_MAX: usize = 64;

pub(crate) struct Admission(pub Arc<Jobs>);

#[async_trait]
impl Reconciler for Admission {
    fn name(&self) -> &'static str {
        "jobs.admission"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let mut started = 0;
        for _ in 0..HEADS_MAX {
            if self.0.closed.load(Ordering::SeqCst) {
                return Ok(Outcome::done("closed: the server goes down"));
            }
            let (plan, read) = self.head().await?;
            started += plan.starts.len();
            let wait = read - plan.starts.len() - plan.refusals.len();
            if wait > 0 || read < HEAD as usize {
                return Ok(Outcome::done(format!("{started} admitted, {wait} wait")));
            }
        }
        Ok(Outcome::again_after(
            format!("{started} admitted"),
            std::time::Duration::ZERO,
        ))
    }
}

impl Admission {
    /// Decides for the head of the queue and records it; answers the plan and how many jobs it saw.
    async fn head(&self) -> Result<(Plan, usize), JobsError> {
        let jobs = &self.0;
        let (queued, holders) = jobs
            .store
            .read(|tx| Ok::<_, JobsError>((store::queued_gangs(tx, HEAD)?, store::holders(tx)?)))
            .await?;
        let read = queued.len();
        let generations: BTreeMap<JobId, i64> = queued
            .iter()
            .map(|(gang, generation)| (gang.job.clone(), *generation))
            .collect();
        let queued = queued.into_iter().map(|(gang, _)| gang).collect();
        let view = view::view(&jobs.inventory, jobs.sources.clock.now(), holders, queued);
        let plan = decide(&view);
        debug_assert_eq!(invariants::check(&view, &plan), None);
        if !plan.starts.is_empty() || !plan.refusals.is_empty() {
            self.apply(&plan, &generations).await?;
        }
        Ok((plan, read))
    }

    async fn apply(&self, plan: &Plan, generations: &BTreeMap<JobId, i64>) -> Result<(), JobsError> {
        let jobs = &self.0;
        let now = jobs.sources.clock.now();
        let admissions: Vec<store::Admission> = plan
            .starts
            .iter()
            .map(|start| store::Admission {
                job: start.job.clone(),
                generation: generations.get(&start.job).copied().unwrap_or(0),
                placement: view::placement(&jobs.inventory, &start.spots),
                boot_id: jobs.boot_id.clone(),
                tasks: start
                    .spots
                    .iter()
                    .map(|_| TaskId::new(jobs.sources.id_seed()))
                    .collect(),
            })
            .collect();
        let refusals: Vec<store::JobChange> = plan
            .refusals
            .iter()
            .map(|refusal| refused(refusal, generations, now))
            .collect();
        jobs.store
            .write(move |tx| {
                // One that was cancelled since it was read stays as it is.
                for admission in &admissions {
                    store::admit(tx, admission, now)?;
                }
                for refusal in &refusals {
                    store::apply(tx, refusal)?;
                }
                Ok::<_, JobsError>(())
            })
            .await?;
        jobs.lifecycle.signal();
        jobs.signal_changed(None);
        Ok(())
    }
}

/// Checked at submission too; here it means that the machine has become smaller since.
fn refused(
    refusal: &corliss_policy_scheduling::Refusal,
    generations: &BTreeMap<JobId, i64>,
    now: Timestamp,
) -> store::JobChange {
    store::JobChange {
        job: refusal.job.clone(),
        generation: generations.get(&refusal.job).copied().unwrap_or(0),
        state: JobState::Failed,
        reason: Some(format!(
            "it can never start here: {}",
            text::never(&refusal.reason)
        )),
        class: Some(ExitClass::Infrastructure),
        stop_cause: None,
        started: None,
        ended: Some(now),
        tasks: Vec::new(),
    }
}

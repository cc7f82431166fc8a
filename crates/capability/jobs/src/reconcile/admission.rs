//! Admission: tells the scheduler what has happened, and records what it decides: which gangs start, which make room.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use corliss_policy_scheduling::{Plan, Refusal, Start};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};
use corliss_types::{JobId, TaskId, Timestamp};

use crate::live::{Live, News};
use crate::service::{Jobs, blocking};
use crate::{ExitClass, Job, JobState, JobsError, store, text};

/// Rounds without a pause; more follow at once, after others had their turn.
const ROUNDS_MAX: usize = 64;

pub(crate) struct Admission(pub Arc<Jobs>);

#[async_trait]
impl Reconciler for Admission {
    fn name(&self) -> &'static str {
        "jobs.admission"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let mut started = 0;
        for _ in 0..ROUNDS_MAX {
            if self.0.closed.load(Ordering::SeqCst) {
                return Ok(Outcome::done("closed: the server goes down"));
            }
            let round = self.round().await?;
            started += round.started;
            if !round.again {
                let told = format!("{started} admitted");
                let now = self.0.sources.clock.now();
                return Ok(match round.wake_at {
                    Some(at) => Outcome::again_after(told, Duration::from_millis(at.since(now).0)),
                    None => Outcome::done(told),
                });
            }
        }
        Ok(Outcome::again_after(
            format!("{started} admitted"),
            Duration::ZERO,
        ))
    }
}

/// What came of one decision.
struct Round {
    started: usize,
    /// Whether there is more to be decided at once.
    again: bool,
    wake_at: Option<Timestamp>,
}

/// What is recorded of a plan.
struct Records {
    admissions: Vec<store::Admission>,
    promises: Vec<(JobId, i64, store::Promise)>,
    preemptions: Vec<(corliss_policy_scheduling::Preemption, i64)>,
    refusals: Vec<(Refusal, i64)>,
}

impl Admission {
    async fn round(&self) -> Result<Round, JobsError> {
        let jobs = &self.0;
        // Whatever ends this early leaves none, so that the next round makes one anew.
        let mut place = jobs.live.lock().await;
        let before = place.take();
        let (generation, now) = (
            before.as_ref().map(Live::declared_generation),
            jobs.sources.clock.now(),
        );
        let news = jobs.store.read(move |tx| News::read(tx, generation, now)).await?;
        let (seen, is_cut) = (news.seen(), news.is_cut());
        let inventory = jobs.inventory.clone();
        let decided = blocking(move || {
            let live = Live::told(before, &news, &inventory, now);
            Ok(live.map(|mut live| {
                let plan = live.decide(&news, now);
                (live, plan)
            }))
        });
        let Some((mut live, plan)) = decided.await? else {
            return Ok(Round::again());
        };
        if !seen.is_empty() || !plan.is_nothing() {
            let records = self.records(&live, &plan);
            let is_applied = jobs
                .store
                .write(move |tx| {
                    store::forget_changes(tx, &seen)?;
                    records.apply(tx, now)
                })
                .await?;
            if !plan.is_nothing() {
                jobs.lifecycle.signal();
                jobs.signal_changed(None);
            }
            if !is_applied {
                return Ok(Round::again());
            }
        }
        live.carried_out(&plan);
        *place = Some(live);
        Ok(Round {
            started: plan.starts.len(),
            again: is_cut,
            wake_at: plan.wake_at,
        })
    }

    fn records(&self, live: &Live, plan: &Plan) -> Records {
        let jobs = &self.0;
        let placement = |start: &Start| live.floor.places(&start.spots);
        let admissions = plan.starts.iter().map(|start| store::Admission {
            job: start.job.clone(),
            generation: live.generation(&start.job),
            placement: placement(start),
            boot_id: jobs.boot_id.clone(),
            tasks: start
                .spots
                .iter()
                .map(|_| TaskId::new(jobs.sources.id_seed()))
                .collect(),
        });
        let promises = plan.promises.iter().map(|start| {
            let promise = store::Promise {
                placement: placement(start),
            };
            (start.job.clone(), live.generation(&start.job), promise)
        });
        let preemptions = plan.preemptions.iter();
        let refusals = plan.refusals.iter();
        Records {
            admissions: admissions.collect(),
            promises: promises.collect(),
            preemptions: preemptions
                .map(|stopped| (stopped.clone(), live.generation(&stopped.job)))
                .collect(),
            refusals: refusals
                .map(|refusal| (refusal.clone(), live.generation(&refusal.job)))
                .collect(),
        }
    }
}

impl Round {
    const fn again() -> Self {
        Self {
            started: 0,
            again: true,
            wake_at: None,
        }
    }
}

impl Records {
    /// Records each part whose job is as it was; whether all were.
    fn apply(&self, tx: &mut dyn corliss_metastore::Tx, now: Timestamp) -> Result<bool, JobsError> {
        let mut is_applied = true;
        for admission in &self.admissions {
            is_applied &= store::admit(tx, admission, now)?;
        }
        for (job, generation, promise) in &self.promises {
            is_applied &= store::promise(tx, job, *generation, promise)?;
        }
        for (stopped, generation) in &self.preemptions {
            let for_whom = store::by_id(tx, &stopped.for_job)?;
            let name = for_whom.map_or_else(String::new, |job| format!("'{}' ", job.spec.name));
            let reason = format!("it was stopped to make room for {name}({})", stopped.for_job);
            is_applied &= store::preempt(tx, &stopped.job, *generation, &reason)?;
        }
        for (refusal, generation) in &self.refusals {
            is_applied &= match store::by_id(tx, &refusal.job)? {
                Some(job) => store::apply(tx, &refused(&job, refusal, *generation, now))?,
                None => false,
            };
        }
        Ok(is_applied)
    }
}

/// Checked at submission too; here it means that the machine or its queue has become smaller since.
fn refused(job: &Job, refusal: &Refusal, generation: i64, now: Timestamp) -> store::JobChange {
    store::JobChange {
        job: job.id.clone(),
        generation,
        state: JobState::Failed,
        reason: Some(format!(
            "it can never start here: {}",
            text::never(&refusal.reason, &job.spec.terms)
        )),
        class: Some(ExitClass::Infrastructure),
        stop_cause: None,
        started: None,
        ended: Some(now),
        saved: None,
        tasks: Vec::new(),
    }
}

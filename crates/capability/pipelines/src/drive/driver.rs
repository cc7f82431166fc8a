//! The loop of one run's driver: take in what happened, decide, store, act, wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use corliss_policy_pipeline::{AttemptState, FailureClass, StepState, classify};
use corliss_types::{AttemptNumber, JobId, RunId};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Context;
use super::active::ActiveRun;
use super::operations::{Done, Launch};
use super::prepare::PrepareFailure;
use crate::error::PipelinesError;
use crate::ports::{JobChange, JobEnd, JobState};
use crate::store::{self, Record};
use crate::work::SharedFolders;

/// How often the states of live jobs are read though no change was told.
const POLL: Duration = Duration::from_secs(5);
/// How long what only people look at (a job's id, that it runs) may stay unstored.
const LAZY: Duration = Duration::from_millis(20);

pub(super) struct Driver {
    pub(super) context: Arc<Context>,
    pub(super) run: ActiveRun,
    pub(super) running: JoinSet<Done>,
    pub(super) launches: Vec<Launch>,
    /// Jobs whose state is to be read.
    look: BTreeSet<JobId>,
    look_at_all: bool,
    /// Nobody tells changes any more; the poll still finds them.
    jobs_gone: bool,
    /// What is decided must be stored before anything else happens.
    pub(super) firm: bool,
    lazy_since: Option<Instant>,
    polled: Instant,
}

/// Drives a run to its end, or until shutdown.
pub(super) async fn drive(context: Arc<Context>, id: RunId, poke: Arc<Notify>) -> Result<(), PipelinesError> {
    // Before anything is read, so that no change falls between.
    let mut changes = context.ports.jobs.changes();
    let Some(mut driver) = Driver::load(context.clone(), &id).await? else {
        return Ok(());
    };
    while !driver.run.ended {
        let wake = driver.pass().await?;
        if driver.run.ended {
            break;
        }
        let due = driver.next_look(wake);
        tokio::select! {
            biased;
            () = context.shutdown.wait() => return Ok(()),
            Some(done) = driver.running.join_next() => driver.absorb_joined(done)?,
            change = changes.recv(), if !driver.jobs_gone => driver.note(change),
            () = poke.notified() => driver.refresh_cancel().await?,
            () = tokio::time::sleep(due) => driver.note_time(),
        }
        driver.drain(&mut changes)?;
        driver.look().await?;
    }
    Ok(())
}

impl Driver {
    async fn load(context: Arc<Context>, id: &RunId) -> Result<Option<Self>, PipelinesError> {
        let wanted = id.clone();
        let loaded = context
            .store
            .read::<_, PipelinesError, _>(move |tx| Ok(store::load(tx, &wanted)?))
            .await?;
        let Some(loaded) = loaded.filter(|loaded| !loaded.run.state.is_ended()) else {
            return Ok(None);
        };
        let pending = loaded.run.started.is_none();
        let shared = SharedFolders::new(&context.config.work, id, context.ports.datasets.clone());
        let now = context.sources.clock.now();
        let mut run = ActiveRun::new(loaded, shared, context.config.live_limit, now)?;
        if pending {
            run.records.push(Record::RunStarted);
        }
        let mut driver = Self {
            context,
            run,
            running: JoinSet::new(),
            launches: Vec::new(),
            look: BTreeSet::new(),
            look_at_all: true,
            jobs_gone: false,
            firm: pending,
            lazy_since: None,
            polled: Instant::now(),
        };
        driver.resume();
        driver.look().await?;
        Ok(Some(driver))
    }

    /// Attempts that were recorded but perhaps not submitted when the last driver ended.
    fn resume(&mut self) {
        for step in 0..self.run.steps.len() {
            let Some(attempt) = self.run.attempt(step).filter(|_| self.run.steps[step].unsure) else {
                continue;
            };
            self.run.steps[step].busy = true;
            self.launches.push(Launch::Prepare {
                step,
                attempt: attempt.number,
                fresh: false,
            });
        }
    }

    /// Notes something to store that nothing waits for.
    pub(super) fn record_lazily(&mut self, record: Record) {
        self.run.records.push(record);
        self.lazy_since.get_or_insert_with(Instant::now);
    }

    pub(super) fn record(&mut self, record: Record) {
        self.run.records.push(record);
        self.firm = true;
    }

    /// Stores what was decided if it must or may no longer wait.
    pub(super) async fn flush(&mut self) -> Result<(), PipelinesError> {
        let overdue = self.lazy_since.is_some_and(|since| since.elapsed() >= LAZY);
        if !(self.firm || overdue) {
            return Ok(());
        }
        let records = std::mem::take(&mut self.run.records);
        (self.firm, self.lazy_since) = (false, None);
        if records.is_empty() {
            return Ok(());
        }
        let id = self.run.fixed.id.clone();
        self.context.commit(&id, records).await
    }

    fn next_look(&self, wake: Option<Duration>) -> Duration {
        let lazy = self.lazy_since.map(|since| LAZY.saturating_sub(since.elapsed()));
        let poll = POLL.saturating_sub(self.polled.elapsed());
        [wake, lazy]
            .into_iter()
            .flatten()
            .fold(poll, Duration::min)
            .max(Duration::from_millis(1))
    }

    fn note_time(&mut self) {
        if self.polled.elapsed() >= POLL {
            self.polled = Instant::now();
            self.look_at_all = true;
        }
    }

    fn note(&mut self, change: Result<JobChange, broadcast::error::RecvError>) {
        match change {
            Ok(change) if change.run == self.run.fixed.id => drop(self.look.insert(change.job)),
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => self.look_at_all = true,
            Err(broadcast::error::RecvError::Closed) => self.jobs_gone = true,
        }
    }

    /// Takes in everything else that is ready, so that one pass and one commit serve many ends.
    fn drain(&mut self, changes: &mut broadcast::Receiver<JobChange>) -> Result<(), PipelinesError> {
        loop {
            match changes.try_recv() {
                Ok(change) => self.note(Ok(change)),
                Err(broadcast::error::TryRecvError::Lagged(_)) => self.look_at_all = true,
                Err(_) => break,
            }
        }
        while let Some(done) = self.running.try_join_next() {
            self.absorb_joined(done)?;
        }
        Ok(())
    }

    async fn refresh_cancel(&mut self) -> Result<(), PipelinesError> {
        let id = self.run.fixed.id.clone();
        let found = self
            .context
            .store
            .read::<_, PipelinesError, _>(move |tx| Ok(store::find(tx, &id)?))
            .await?;
        self.run.view.cancel_requested |= found.is_some_and(|run| run.cancel_requested);
        Ok(())
    }

    /// Reads the states of jobs that may have changed.
    async fn look(&mut self) -> Result<(), PipelinesError> {
        let told = std::mem::take(&mut self.look);
        let jobs: Vec<JobId> = if std::mem::take(&mut self.look_at_all) {
            self.run.jobs.keys().cloned().collect()
        } else {
            told.into_iter()
                .filter(|job| self.run.jobs.contains_key(job))
                .collect()
        };
        if jobs.is_empty() {
            return Ok(());
        }
        let states = self.context.ports.jobs.states(&jobs).await?;
        let mut unknown: BTreeSet<JobId> = jobs.into_iter().collect();
        for (job, state) in states {
            unknown.remove(&job);
            if let Some(step) = self.run.jobs.get(&job).copied() {
                self.job_is(step, &job, state);
            }
        }
        let now = self.context.sources.clock.now();
        for job in unknown {
            if let Some(step) = self.run.jobs.get(&job).copied() {
                let (ending, message) = (
                    corliss_policy_pipeline::Ending::Lost,
                    "its job is not known any more".to_owned(),
                );
                let end = JobEnd::Failed { ending, message };
                self.job_is(
                    step,
                    &job,
                    JobState::Ended {
                        started: None,
                        ended: now,
                        end,
                    },
                );
            }
        }
        Ok(())
    }

    fn job_is(&mut self, step: usize, job: &JobId, state: JobState) {
        let Some(attempt) = self
            .run
            .attempt(step)
            .filter(|attempt| attempt.state == AttemptState::Live)
        else {
            return;
        };
        let number = attempt.number;
        match state {
            JobState::Queued => {}
            JobState::Running { started } => {
                if self.run.view.steps[step].state == StepState::Queued {
                    self.run.view.steps[step].state = StepState::Running;
                    self.run.steps[step].started = Some(started);
                    self.record_lazily(Record::AttemptRunning {
                        step,
                        attempt: number,
                        started,
                    });
                }
            }
            JobState::Ended { started, ended, end } => {
                self.run.jobs.remove(job);
                self.run.steps[step].started = started.or(self.run.steps[step].started);
                self.run.steps[step].ended = Some(ended);
                match end {
                    JobEnd::Succeeded => {
                        self.set_attempt(step, number, AttemptState::JobSucceeded, StepState::Publishing);
                    }
                    JobEnd::Failed { ending, message } => {
                        self.attempt_failed(step, number, classify(ending), message)
                    }
                    JobEnd::Cancelled => {
                        let started = self.run.steps[step].started;
                        self.set_attempt(
                            step,
                            number,
                            AttemptState::Cancelled { at: ended },
                            StepState::Waiting,
                        );
                        self.record(Record::AttemptCancelled {
                            step,
                            attempt: number,
                            started,
                            ended,
                        });
                    }
                }
            }
        }
    }

    fn set_attempt(&mut self, step: usize, number: AttemptNumber, attempt: AttemptState, state: StepState) {
        self.run.view.steps[step].attempt = Some(corliss_policy_pipeline::Attempt {
            number,
            state: attempt,
        });
        self.run.view.steps[step].state = state;
    }

    fn attempt_failed(&mut self, step: usize, number: AttemptNumber, class: FailureClass, reason: String) {
        let now = self.context.sources.clock.now();
        let active = &mut self.run.steps[step];
        let (started, ended) = (active.started.take(), active.ended.take().unwrap_or(now));
        active.job = None;
        active.cancel_sent = false;
        active.reason = Some(reason.clone());
        self.run.view.steps[step].failures.add(class);
        self.set_attempt(
            step,
            number,
            AttemptState::Failed { class, at: ended },
            StepState::Waiting,
        );
        self.record(Record::AttemptFailed {
            step,
            attempt: number,
            class,
            reason,
            started,
            ended,
        });
    }

    fn absorb_joined(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<(), PipelinesError> {
        match done {
            Ok(done) => self.absorb(done),
            Err(error) => Err(PipelinesError::Task(error.to_string())),
        }
    }

    /// Takes in the end of an operation. Errors that time may heal end the driver: another one starts after a
    /// pause and finds out from the record what is still to do.
    fn absorb(&mut self, done: Done) -> Result<(), PipelinesError> {
        match done {
            Done::Prepared { step, attempt, job } => {
                self.run.steps[step].busy = false;
                self.prepared(step, attempt, job)
            }
            Done::Published {
                step,
                attempt,
                outputs,
            } => {
                self.run.steps[step].busy = false;
                match outputs {
                    Ok(outputs) => self.succeeded(step, attempt, outputs),
                    Err(error) if error.is_the_steps_fault() => {
                        self.attempt_failed(step, attempt, FailureClass::User, error.to_string());
                    }
                    Err(error) => return Err(error),
                }
                Ok(())
            }
            Done::CancelSent { step, result } => {
                if result.is_err() {
                    self.run.steps[step].cancel_sent = false;
                }
                result
            }
            Done::Closed { step, result } => {
                result?;
                self.run.closing -= 1;
                self.record_lazily(Record::StepClosed { step });
                Ok(())
            }
            Done::Released(released) => {
                let released = released?;
                self.run.view.release = released.release;
                for record in released.records {
                    self.record(record);
                }
                Ok(())
            }
        }
    }

    fn prepared(
        &mut self,
        step: usize,
        attempt: AttemptNumber,
        job: Result<JobId, PrepareFailure>,
    ) -> Result<(), PipelinesError> {
        match job {
            Ok(job) => {
                self.run.steps[step].job = Some(job.clone());
                self.run.jobs.insert(job.clone(), step);
                // It may have changed before its id was known here.
                self.look.insert(job.clone());
                self.record_lazily(Record::AttemptSubmitted { step, attempt, job });
            }
            Err(PrepareFailure::Unsure(error)) => return Err(error),
            Err(PrepareFailure::Before(error)) => {
                let users = error.is_the_steps_fault();
                let class = if users {
                    FailureClass::User
                } else {
                    FailureClass::Infrastructure
                };
                self.attempt_failed(step, attempt, class, format!("it could not be started: {error}"));
            }
        }
        Ok(())
    }

    /// The step is done: recorded with its outputs in one transaction.
    pub(super) fn succeeded(
        &mut self,
        step: usize,
        attempt: AttemptNumber,
        outputs: std::collections::BTreeMap<String, corliss_types::VersionId>,
    ) {
        let now = self.context.sources.clock.now();
        let cache_key = self.key_of(step);
        self.set_attempt(step, attempt, AttemptState::Published, StepState::Succeeded);
        let active = &mut self.run.steps[step];
        active.outputs.clone_from(&outputs);
        let (started, ended) = (active.started, active.ended.unwrap_or(now));
        self.run.unclosed.insert(step);
        self.record(Record::Succeeded {
            step,
            attempt,
            outputs,
            cache_key,
            started,
            ended,
        });
    }
}

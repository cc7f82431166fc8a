//! Lifecycle: starts the tasks of admitted jobs, watches them, ends gangs that have lost a worker or are to
//! be stopped, and records what came of it.
//!
//! Each job is brought forward by itself and at its own pace: one whose start hangs holds up nobody else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::{Diagnose, ErrorReport, Meaning, counted};
use corliss_executor::{ExecutorError, TaskRef};
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};
use corliss_types::{JobId, Timestamp};
use tokio::task::JoinSet;

use super::conclude::{StartFailure, conclude, observed};
use crate::service::{Jobs, blocking};
use crate::{ExitClass, Job, JobState, JobsError, Task, TaskPhase, checkpoints, launch, store};

/// How long a round waits for its jobs; those that take longer go on beside the next rounds.
const ROUND: Duration = Duration::from_millis(250);
/// Steps of one job in one round, such as start, see the failure, end the others, see the end.
const STEPS_MAX: usize = 8;
/// When to look again at a job that is in trouble.
const TROUBLE_AGAIN: Duration = Duration::from_millis(500);

pub(crate) struct Lifecycle {
    jobs: Arc<Jobs>,
    in_flight: Arc<Mutex<BTreeSet<JobId>>>,
}

/// Takes the job out of flight however its future ends.
struct Landing {
    jobs: Arc<Jobs>,
    in_flight: Arc<Mutex<BTreeSet<JobId>>>,
    id: JobId,
    /// Whether to start another round: a signal that came while this was in flight was not followed for
    /// its job. Not within the round itself, or each round would cause the next.
    signal: bool,
}

impl Drop for Landing {
    fn drop(&mut self) {
        // A future that panicked would at once panic again: its round's trouble has it looked at later.
        let signal = self.signal && !std::thread::panicking();
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        if signal {
            self.jobs.lifecycle.signal();
        }
    }
}

impl Lifecycle {
    pub(crate) fn new(jobs: Arc<Jobs>) -> Self {
        Self {
            jobs,
            in_flight: Arc::default(),
        }
    }

    fn board(&self, id: &JobId) -> Option<Landing> {
        let boarded = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone());
        boarded.then(|| Landing {
            jobs: self.jobs.clone(),
            in_flight: self.in_flight.clone(),
            id: id.clone(),
            signal: true,
        })
    }
}

#[async_trait]
impl Reconciler for Lifecycle {
    fn name(&self) -> &'static str {
        "jobs.lifecycle"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let active = self.jobs.store.read(store::active).await?;
        let count = active.len();
        let mut round = JoinSet::new();
        for job in active {
            if let Some(landing) = self.board(&job.id) {
                round.spawn(async move {
                    let id = job.id.clone();
                    let result = bring_forward(&landing.jobs.clone(), job).await;
                    if let Err(error) = &result {
                        tracing::warn!(job = %id, "{}", ErrorReport::of(error).message);
                    }
                    (landing, id, result)
                });
            }
        }
        let mut trouble = None;
        let deadline = tokio::time::sleep(ROUND);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => {
                    round.detach_all();
                    break;
                }
                landed = round.join_next() => match landed {
                    None => break,
                    Some(Ok((mut landing, id, result))) => {
                        landing.signal = false;
                        if let Err(error) = result {
                            trouble = Some(format!("{id}: {}", ErrorReport::of(&error).message));
                        }
                    }
                    Some(Err(error)) => trouble = Some(format!("a job's future ended early: {error}")),
                },
            }
        }
        let progress = format!("{} looked after", counted(count, "job", "jobs"));
        Ok(match trouble {
            Some(message) => Outcome::again_after(format!("{progress}; {message}"), TROUBLE_AGAIN),
            None => Outcome::done(progress),
        })
    }
}

/// Takes a job as far as it goes now.
async fn bring_forward(jobs: &Arc<Jobs>, mut job: Job) -> Result<(), JobsError> {
    for _ in 0..STEPS_MAX {
        if !job.state.is_active() || !step(jobs, &job).await? {
            return Ok(());
        }
        job = jobs.load(&job.id).await?;
    }
    Ok(())
}

/// Acts, observes, records; tells whether anything changed.
async fn step(jobs: &Arc<Jobs>, job: &Job) -> Result<bool, JobsError> {
    let this_boot = job.boot_id.as_deref() == Some(&jobs.boot_id);
    let starts = job.stop_cause.is_none() && job.state == JobState::Starting && this_boot;
    if starts && launch::needs_facts(job) {
        let unlaunched = job.clone();
        let facts = blocking(move || launch::find_facts(&unlaunched)).await?;
        let id = job.id.clone();
        jobs.store
            .write(move |tx| store::set_launch(tx, &id, &facts))
            .await?;
        return Ok(true);
    }
    let mut start = Started::default();
    if job.stop_cause.is_some() {
        stop(jobs, job).await?;
    } else if starts {
        start = start_tasks(jobs, job).await;
    }
    let tasks = observe(jobs, job).await?;
    let now = jobs.sources.clock.now();
    let Some(mut change) = conclude(job, tasks, start.failure, now) else {
        return start.error.map_or(Ok(false), Err);
    };
    let ended = change.state.is_final();
    if change.state == JobState::Failed {
        change.saved = saved(job).await;
    }
    jobs.store.write(move |tx| store::apply(tx, &change)).await?;
    if ended {
        jobs.admission.signal();
    }
    jobs.signal_changed(Some(job));
    start.error.map_or(Ok(true), Err)
}

/// When the newest checkpoint was begun that this job or an earlier attempt left. That it cannot be told holds up nobody.
async fn saved(job: &Job) -> Option<Timestamp> {
    let spec = job.spec.checkpoint.clone()?;
    let saved = blocking(move || checkpoints::saved(&spec.dir, spec.keep)).await;
    saved.unwrap_or_else(|error| {
        tracing::warn!(job = %job.id, "{}", ErrorReport::of(&error).message);
        None
    })
}

#[derive(Default)]
struct Started {
    /// Final: the job is over.
    failure: Option<StartFailure>,
    /// Passing: tried again in the next round.
    error: Option<JobsError>,
}

async fn start_tasks(jobs: &Arc<Jobs>, job: &Job) -> Started {
    let mut starting = JoinSet::new();
    for task in job.tasks.iter().filter(|task| task.phase == TaskPhase::Pending) {
        let (executor, spec) = (jobs.executor.clone(), launch::task_spec(&jobs.config, job, task));
        starting.spawn(async move { executor.start(&spec).await });
    }
    let mut outcome = Started::default();
    while let Some(started) = starting.join_next().await {
        let Err(error) = started.unwrap_or(Err(ExecutorError::Interrupted)) else {
            continue;
        };
        let waited_ms = jobs
            .sources
            .clock
            .now()
            .since(job.admitted.unwrap_or(job.created))
            .0;
        let invalid = error.meaning() == Meaning::InvalidInput;
        if invalid || waited_ms > jobs.config.start_patience_ms {
            let class = if invalid {
                ExitClass::User
            } else {
                ExitClass::Infrastructure
            };
            let reason = format!("it could not be started: {}", ErrorReport::of(&error).message);
            outcome.failure = Some(StartFailure { reason, class });
        } else {
            outcome.error = Some(error.into());
        }
    }
    outcome
}

async fn stop(jobs: &Arc<Jobs>, job: &Job) -> Result<(), JobsError> {
    for task in job.tasks.iter().filter(|task| task.phase != TaskPhase::Exited) {
        jobs.executor
            .stop(&reference(jobs, task), job.spec.grace_ms)
            .await?;
    }
    Ok(())
}

async fn observe(jobs: &Arc<Jobs>, job: &Job) -> Result<Vec<Task>, JobsError> {
    let rebooted = job.boot_id.as_deref() != Some(&jobs.boot_id);
    let now = jobs.sources.clock.now();
    let mut tasks = Vec::with_capacity(job.tasks.len());
    for task in &job.tasks {
        let state = match task.phase {
            TaskPhase::Exited => {
                tasks.push(task.clone());
                continue;
            }
            _ => jobs.executor.inspect(&reference(jobs, task)).await?,
        };
        let gone = rebooted || task.phase == TaskPhase::Running;
        tasks.push(observed(task, state, gone.then_some(now)));
    }
    Ok(tasks)
}

fn reference(jobs: &Jobs, task: &Task) -> TaskRef {
    TaskRef {
        id: task.id.clone(),
        dir: launch::task_dir(&jobs.config, task),
    }
}

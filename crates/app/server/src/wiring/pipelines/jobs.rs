//! A step's attempt is a job of the jobs room.

use std::sync::Arc;

use async_trait::async_trait;
use corliss_executor::{ExitKind, TaskExit};
use corliss_jobs::{
    CheckpointSpec, Command, DEFAULT_QUEUE, ExitClass, Job, JobKind, JobSpec, Jobs, Terms, Wish,
};
use corliss_pipelines::ports::{
    JobChange, JobEnd, JobOutlook, JobRequest, JobState, JobTimes, JobWish, JobsPort, NamedJob, PortError,
    StepKey,
};
use corliss_pipelines::project_file::{Launcher, Queueing, Site};
use corliss_policy_pipeline::Ending;
use corliss_types::JobId;
use tokio::sync::broadcast;

/// From SIGTERM to SIGKILL: long enough to write a checkpoint.
const GRACE_MS: u64 = 10_000;
const LOG_LIMIT_BYTES: u64 = 64 << 20;

/// Attempts as jobs.
pub struct StepJobs(pub Arc<Jobs>);

fn key_of(key: &StepKey) -> String {
    format!("step/{}/{}/{}", key.run, key.step, key.attempt)
}

fn terms(queueing: Queueing, times: JobTimes, user: String) -> Terms {
    Terms {
        queue: queueing.queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned()),
        user,
        priority: queueing.priority,
        is_preemptible: queueing.preemptible,
        expected_ms: queueing.expected_ms,
        not_before: times.not_before,
        deadline: times.deadline,
        placing: queueing.placing,
        ..Terms::default()
    }
}

#[async_trait]
impl JobsPort for StepJobs {
    async fn site(&self) -> Result<Site, PortError> {
        let queues = self.0.queue_settings().await;
        let queues = queues.map_err(|error| PortError::of(&error))?;
        let nodes = self.0.node_settings().await;
        let nodes = nodes.map_err(|error| PortError::of(&error))?;
        let machine = self.0.inventory();
        Ok(Site {
            total: machine.total,
            accelerators: machine.accelerators.clone(),
            queues: queues.names().map(str::to_owned).collect(),
            levels: nodes.levels,
        })
    }

    async fn foresee(&self, wishes: Vec<JobWish>) -> Result<Vec<JobOutlook>, PortError> {
        let wishes = wishes.into_iter().map(|wish| Wish {
            name: wish.name,
            workers: wish.workers,
            resources: wish.resources,
            timeout_ms: wish.timeout_ms,
            terms: terms(wish.queueing, wish.times, wish.user),
        });
        let foreseen = self.0.foresee(wishes.collect()).await;
        let foreseen = foreseen.map_err(|error| PortError::of(&error))?.into_iter();
        Ok(foreseen
            .map(|told| JobOutlook {
                starts_now: told.starts_now,
                summary: told.summary,
                position: told.position,
                starts_ms: told.starts_ms,
                stops: told
                    .stops
                    .into_iter()
                    .map(|stopped| NamedJob {
                        job_id: stopped.job_id,
                        name: stopped.name,
                    })
                    .collect(),
            })
            .collect())
    }

    async fn submit(&self, request: JobRequest) -> Result<JobId, PortError> {
        let key = key_of(&request.key);
        let spec = JobSpec {
            name: request.name,
            kind: JobKind::Batch,
            run_id: Some(request.key.run),
            step: Some(request.key.step),
            attempt: request.key.attempt,
            workers: request.workers,
            launcher: match request.launcher {
                Some(Launcher::Torchrun) => corliss_jobs::Launcher::Torchrun,
                None => corliss_jobs::Launcher::None,
            },
            command: Command::Argv(request.argv),
            env: request.env,
            cwd: request.folder,
            resources: request.resources,
            timeout_ms: request.timeout_ms,
            grace_ms: GRACE_MS,
            checkpoint: request.checkpoint.map(|checkpoint| CheckpointSpec {
                dir: checkpoint.folder,
                every_s: Some(checkpoint.every_ms.div_ceil(1000)),
                keep: checkpoint.keep,
            }),
            log_limit_bytes: LOG_LIMIT_BYTES,
            terms: Terms {
                project: request.project,
                ..terms(request.queueing, request.times, request.user)
            },
        };
        self.0
            .submit(&key, spec)
            .await
            .map_err(|error| PortError::of(&error))
    }

    async fn find(&self, key: &StepKey) -> Result<Option<JobId>, PortError> {
        let found = self
            .0
            .find(&key_of(key))
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(found.map(|job| job.id))
    }

    async fn states(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, PortError> {
        let found = self
            .0
            .get_many(jobs)
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(found
            .into_iter()
            .map(|job| (job.id.clone(), state(&job)))
            .collect())
    }

    async fn cancel(&self, job: &JobId) -> Result<(), PortError> {
        self.0
            .cancel(job)
            .await
            .map(drop)
            .map_err(|error| PortError::of(&error))
    }

    fn changes(&self) -> broadcast::Receiver<JobChange> {
        let (sender, receiver) = broadcast::channel(1024);
        let mut changes = self.0.changes();
        tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(change) => {
                        let Some(run) = change.run else { continue };
                        if sender.send(JobChange { run, job: change.job }).is_err() {
                            return;
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        receiver
    }
}

fn state(job: &Job) -> JobState {
    use corliss_jobs::JobState as Theirs;
    let ended = job.ended.unwrap_or(job.created);
    let over = |end| JobState::Ended {
        started: job.started,
        ended,
        end,
    };
    match job.state {
        Theirs::Queued | Theirs::Starting => JobState::Queued,
        Theirs::Running | Theirs::Stopping => JobState::Running {
            started: job.started.unwrap_or(job.created),
        },
        Theirs::Succeeded => over(JobEnd::Succeeded),
        Theirs::Cancelled => over(JobEnd::Cancelled),
        Theirs::Failed => over(JobEnd::Failed {
            ending: ending(job),
            message: job.reason.clone().unwrap_or_else(|| "it ended badly".to_owned()),
        }),
    }
}

/// How the worker ended that brought the gang down. The jobs room has decided whose fault it was; what a
/// worker left behind must not say otherwise.
fn ending(job: &Job) -> Ending {
    let exits = || job.tasks.iter().filter_map(|task| task.exit.as_ref());
    let wanted = |exit: &&TaskExit| !exit.succeeded() && exit.kind != ExitKind::Cancelled;
    let first = exits().filter(wanted).min_by_key(|exit| exit.ended_ms);
    if job.class == Some(ExitClass::Preempted) {
        return Ending::Preempted;
    }
    if job.class == Some(ExitClass::Infrastructure) {
        return match first {
            Some(TaskExit {
                kind: ExitKind::Signaled,
                signal: Some(signal),
                ..
            }) => Ending::Signaled(*signal),
            _ => Ending::Lost,
        };
    }
    match first {
        Some(TaskExit {
            kind: ExitKind::OutOfMemory,
            ..
        }) => Ending::OutOfMemory,
        Some(TaskExit {
            kind: ExitKind::TimedOut,
            ..
        }) => Ending::TimedOut,
        Some(TaskExit {
            kind: ExitKind::Signaled,
            signal: Some(signal),
            ..
        }) => Ending::Signaled(*signal),
        Some(TaskExit { code: Some(code), .. }) => Ending::Exited(*code),
        _ => Ending::Exited(1),
    }
}

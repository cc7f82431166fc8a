//! Submitting: one key, one job.

use corliss_diagnostics::nearest;
use corliss_metastore::Tx;
use corliss_policy_scheduling::decide;
use corliss_policy_scheduling::nodes::WHOLE;
use corliss_types::{DurationMs, IdSeed, JobId, Timestamp};

use super::{Jobs, Wish};
use crate::nodes::Floor;
use crate::{
    Command, ExitClass, Job, JobKind, JobSpec, JobState, JobsError, Launcher, QueueSettings, Terms, store,
    text, view,
};

const WORKERS_MAX: u32 = 1024;
const NAME_MAX: usize = 200;
const KEY_MAX: usize = 300;
/// Priorities are of a team's making; these are more than it can tell apart.
pub const PRIORITY_MAX: i32 = 1_000;
/// A specification is stored and sent in one piece.
const SPEC_BYTES_MAX: usize = 1 << 20;

impl Jobs {
    /// Puts a job into the queue under the caller's key, for instance `run/step/attempt`. The same key
    /// again answers the job there is, whatever the specification says now. Durable when this returns.
    ///
    /// # Errors
    /// The specification is not valid, asks for more than this machine has, or the queue is full.
    pub async fn submit(&self, key: &str, spec: JobSpec) -> Result<JobId, JobsError> {
        check(key, &spec)?;
        self.can_keep(key, &spec).await?;
        let created = self.submission_time();
        let id = JobId::new(IdSeed {
            at: created,
            ..self.sources.id_seed()
        });
        let mut job = Job {
            id,
            key: key.to_owned(),
            spec,
            state: JobState::Queued,
            generation: 1,
            reason: None,
            class: None,
            stop_cause: None,
            placement: Vec::new(),
            boot_id: None,
            launch: None,
            created,
            admitted: None,
            started: None,
            ended: None,
            tasks: Vec::new(),
        };
        let (limit, inventory) = (self.config.queue_limit, self.inventory.clone());
        let id = self
            .store
            .write(move |tx| {
                if let Some(known) = store::by_key(tx, &job.key)? {
                    return Ok(known.id);
                }
                let declared = store::declared(tx)?;
                let terms = &job.spec.terms;
                let may_stop = terms
                    .is_preemptible
                    .unwrap_or(declared.queues.is_preemptible(&terms.queue));
                job.spec.terms.is_preemptible = Some(may_stop && job.spec.kind == JobKind::Batch);
                could_run(&declared.queues, &Floor::of(&inventory, &declared.nodes), &job)?;
                carry_on(tx, &mut job.spec)?;
                if store::count_queued(tx)? >= limit {
                    return Err(JobsError::QueueFull { limit });
                }
                store::insert(tx, &job)?;
                Ok(job.id.clone())
            })
            .await?;
        self.admission.signal();
        self.signal_changed(None);
        Ok(id)
    }

    /// Whether the deadline of a job can be kept, in a queue that goes by them, as far as is known how long jobs run. An
    /// attempt that goes on from another is late rather than refused.
    async fn can_keep(&self, key: &str, spec: &JobSpec) -> Result<(), JobsError> {
        let terms = &spec.terms;
        let (Some(deadline), Some(runs_ms), 1) = (terms.deadline, terms.expected_ms, spec.attempt) else {
            return Ok(());
        };
        if !self.queue_settings().await?.keeps_deadlines(&terms.queue) || self.find(key).await?.is_some() {
            return Ok(());
        }
        let wish = Wish {
            name: spec.name.clone(),
            workers: spec.workers,
            resources: spec.resources,
            timeout_ms: spec.timeout_ms,
            terms: terms.clone(),
        };
        let foreseen = self.foresee(vec![wish]).await?;
        let now = self.sources.clock.now();
        let starts = foreseen.first().and_then(|told| match told.starts_now {
            true => Some(now),
            false => told.starts_ms.map(Timestamp::from_millis),
        });
        match starts.map(|starts| starts + DurationMs(runs_ms)) {
            Some(done) if done > deadline => Err(JobsError::TooLate { deadline, done }),
            _ => Ok(()),
        }
    }
}

/// What made room for another keeps its place in the queue and what it has had.
fn carry_on(tx: &mut dyn Tx, spec: &mut JobSpec) -> Result<(), JobsError> {
    let (Some(run), Some(step), Some(before)) = (&spec.run_id, &spec.step, spec.attempt.checked_sub(1))
    else {
        return Ok(());
    };
    let before = store::sibling(tx, run, step, before)?;
    let Some(stopped) = before.filter(|job| job.class == Some(ExitClass::Preempted)) else {
        return Ok(());
    };
    let ran = stopped.ended.zip(stopped.admitted);
    let ran_ms = ran.map_or(0, |(ended, admitted)| ended.since(admitted).0);
    let earlier = &stopped.spec.terms;
    spec.terms.since = Some(earlier.since.unwrap_or(stopped.created));
    spec.terms.served_ms = Some(earlier.served_ms.unwrap_or(0).saturating_add(ran_ms));
    Ok(())
}

/// Whether it could run alone on these nodes, and in its queue.
fn could_run(settings: &QueueSettings, floor: &Floor, job: &Job) -> Result<(), JobsError> {
    let terms = &job.spec.terms;
    if !settings.is_known(&terms.queue) {
        return Err(JobsError::NoQueue {
            queue: terms.queue.clone(),
            nearest: nearest(&terms.queue, settings.names()).map(str::to_owned),
        });
    }
    let spec = &job.spec;
    floor.check(&terms.placing)?;
    let mut view = view::empty(floor, settings, job.created);
    view.queued.push(floor.gang(&store::Asked {
        job: job.id.clone(),
        created: job.created,
        workers: spec.workers,
        each: spec.resources,
        // When it may start has nothing to do with whether it could.
        terms: Terms {
            not_before: None,
            ..terms.clone()
        },
        run_ms: None,
    }));
    match decide(&view).refusals.into_iter().next() {
        Some(refusal) => Err(JobsError::TooLarge {
            reason: text::never(&refusal.reason, terms),
        }),
        None => Ok(()),
    }
}

fn check_terms(spec: &JobSpec) -> Result<(), JobsError> {
    let refuse = |field, reason: String| Err(JobsError::InvalidSpec { field, reason });
    if let Some(milli) = spec.terms.placing.accelerator_share {
        if spec.resources.accelerators > 0 {
            let reason = "it asks for whole accelerators and for a part of one".to_owned();
            return refuse("accelerators", reason);
        }
        if spec.launcher == Launcher::Torchrun && spec.workers > 1 {
            let reason =
                "workers of torchrun take accelerators by their rank, so each needs a whole one".to_owned();
            return refuse("accelerators", reason);
        }
        if !(1..WHOLE).contains(&milli) {
            let reason = format!("its part of an accelerator is {milli}, 1 to 999 thousandths are possible");
            return refuse("accelerators", reason);
        }
    }
    if let (Some(begin), Some(deadline)) = (spec.terms.not_before, spec.terms.deadline)
        && begin >= deadline
    {
        let reason = "it is not to start before it has to be done".to_owned();
        return refuse("deadline", reason);
    }
    Ok(())
}

fn check(key: &str, spec: &JobSpec) -> Result<(), JobsError> {
    let refuse = |field, reason: String| Err(JobsError::InvalidSpec { field, reason });
    if key.is_empty() || key.len() > KEY_MAX {
        return refuse("key", format!("its key must have 1 to {KEY_MAX} characters"));
    }
    if spec.name.is_empty() || spec.name.len() > NAME_MAX {
        return refuse("name", format!("its name must have 1 to {NAME_MAX} characters"));
    }
    if !(1..=WORKERS_MAX).contains(&spec.workers) {
        return refuse(
            "workers",
            format!("it has {} workers, 1 to {WORKERS_MAX} are possible", spec.workers),
        );
    }
    if spec.attempt == 0 {
        return refuse("attempt", "the first attempt is 1".to_owned());
    }
    if !(-PRIORITY_MAX..=PRIORITY_MAX).contains(&spec.terms.priority) {
        let reason = format!(
            "its priority is {}, -{PRIORITY_MAX} to {PRIORITY_MAX} are possible",
            spec.terms.priority
        );
        return refuse("priority", reason);
    }
    check_terms(spec)?;
    let empty = match &spec.command {
        Command::Argv(argv) => argv.first().is_none_or(String::is_empty),
        Command::Shell(line) => line.trim().is_empty(),
    };
    if empty {
        return refuse("command", "its command is empty".to_owned());
    }
    if !spec.cwd.is_absolute() {
        return refuse("cwd", "its working folder must be an absolute path".to_owned());
    }
    let bytes = serde_json::to_vec(spec).map_or(usize::MAX, |bytes| bytes.len());
    if bytes > SPEC_BYTES_MAX {
        return refuse(
            "env",
            format!("its specification has {bytes} bytes, {SPEC_BYTES_MAX} are possible"),
        );
    }
    Ok(())
}

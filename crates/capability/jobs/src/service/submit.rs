//! Submitting: one key, one job.

use corliss_policy_scheduling::decide;
use corliss_types::{IdSeed, JobId};

use super::Jobs;
use crate::{Command, Job, JobSpec, JobState, JobsError, store, text, view};

const WORKERS_MAX: u32 = 1024;
const NAME_MAX: usize = 200;
const KEY_MAX: usize = 300;
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
        let created = self.submission_time();
        let id = JobId::new(IdSeed {
            at: created,
            ..self.sources.id_seed()
        });
        // Alone on this machine, with nothing on it.
        let alone = view::gang(id.clone(), created, spec.workers, &spec.resources);
        let plan = decide(&view::view(&self.inventory, created, Vec::new(), vec![alone]));
        let never = plan.refusals.into_iter().next().map(|refusal| refusal.reason);
        let job = Job {
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
        let limit = self.config.queue_limit;
        let id = self
            .store
            .write(move |tx| {
                if let Some(known) = store::by_key(tx, &job.key)? {
                    return Ok(known.id);
                }
                if let Some(never) = &never {
                    return Err(JobsError::TooLarge {
                        reason: text::never(never),
                    });
                }
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

//! From a job to the tasks that the executor runs: command line, environment, rendezvous.

mod command;
mod port;
mod torchrun;

use std::path::Path;

use corliss_executor::TaskSpec;

use crate::{Job, JobsConfig, JobsError, LaunchFacts, Launcher, Place, Task, checkpoints};

/// Where the record and the log of a task are.
pub(crate) fn task_dir(config: &JobsConfig, task: &Task) -> std::path::PathBuf {
    config.tasks_dir.join(task.id.as_str())
}

/// Finds out what all ranks share. Reads checkpoints in full, so it blocks for as long as that takes.
pub(crate) fn find_facts(job: &Job) -> Result<LaunchFacts, JobsError> {
    let master_port = match job.spec.launcher {
        Launcher::Torchrun => Some(port::free_port(job.id.as_str())?),
        Launcher::None => None,
    };
    let resume_from = match &job.spec.checkpoint {
        Some(checkpoint) => {
            checkpoints::clear_unpublished(&checkpoint.dir)?;
            checkpoints::latest_complete(&checkpoint.dir, checkpoint.keep)?
        }
        None => None,
    };
    Ok(LaunchFacts {
        master_port,
        resume_from,
    })
}

/// Whether the job has anything that must be found out before its first task starts.
pub(crate) fn needs_facts(job: &Job) -> bool {
    job.launch.is_none() && (job.spec.launcher == Launcher::Torchrun || job.spec.checkpoint.is_some())
}

/// The task of one rank.
pub(crate) fn task_spec(config: &JobsConfig, job: &Job, task: &Task) -> TaskSpec {
    let spec = &job.spec;
    let facts = job.launch.clone().unwrap_or_default();
    let mut env = spec.env.clone();
    let mut set = |name: &str, value: String| {
        env.insert(name.to_owned(), value);
    };
    set("CORLISS_JOB_ID", job.id.to_string());
    set("CORLISS_ATTEMPT", spec.attempt.to_string());
    if let Some(run) = &spec.run_id {
        set("CORLISS_RUN_ID", run.to_string());
    }
    if let Some(step) = &spec.step {
        set("CORLISS_STEP", step.clone());
    }
    if let Some(place) = job.placement.get(task.rank as usize) {
        set("CORLISS_NODE", place.node.clone());
    }
    // Empty hides every accelerator: who asked for none sees none.
    set("CUDA_VISIBLE_DEVICES", visible_devices(job, task.rank));
    if let Some(checkpoint) = &spec.checkpoint {
        set("CORLISS_CHECKPOINT_DIR", path(&checkpoint.dir));
        if let Some(every_s) = checkpoint.every_s {
            set("CORLISS_CHECKPOINT_EVERY_S", every_s.to_string());
        }
        if let Some(resume_from) = &facts.resume_from {
            set("CORLISS_RESUME_FROM", path(resume_from));
        }
    }
    if let (Launcher::Torchrun, Some(port)) = (spec.launcher, facts.master_port) {
        for (name, value) in torchrun::variables(job, task.rank, port) {
            set(name, value);
        }
    }
    // Output that waits in a buffer is output that nobody can follow.
    env.entry("PYTHONUNBUFFERED".to_owned())
        .or_insert_with(|| "1".to_owned());
    if spec.launcher == Launcher::Torchrun {
        env.entry("OMP_NUM_THREADS".to_owned())
            .or_insert_with(|| torchrun::threads(&spec.resources).to_string());
    }
    TaskSpec {
        id: task.id.clone(),
        argv: command::argv(&spec.command, spec.launcher, &env),
        env,
        cwd: spec.cwd.clone(),
        dir: task_dir(config, task),
        memory_limit_bytes: Some(spec.resources.memory_bytes).filter(|bytes| *bytes > 0),
        cpu_milli: Some(spec.resources.cpu_milli).filter(|milli| *milli > 0),
        timeout_ms: spec.timeout_ms,
        grace_ms: spec.grace_ms,
        log_limit_bytes: spec.log_limit_bytes,
    }
}

/// Indices of the accelerators that the rank sees. Workers of torchrun take theirs by their local rank, so they see those of
/// the whole gang on their node; everybody else sees their own.
fn visible_devices(job: &Job, rank: u32) -> String {
    let Some(mine) = job.placement.get(rank as usize) else {
        return String::new();
    };
    let places = job.placement.iter();
    let seen: Vec<&Place> = match job.spec.launcher {
        Launcher::Torchrun => places.filter(|place| place.node == mine.node).collect(),
        Launcher::None => vec![mine],
    };
    let indices = seen.into_iter().flat_map(|place| &place.accelerators);
    indices.map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

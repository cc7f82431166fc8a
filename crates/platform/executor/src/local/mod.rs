//! The executor of this machine: one shim per task, state in files, nothing in memory that a restart would
//! miss.

mod adopt;
mod inspect;
mod start;
mod stop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_clock::Clock;
use tokio::sync::watch;

use crate::{Executor, ExecutorError, TaskRef, TaskSpec, TaskState, cgroup};

/// How to start shims.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Program and first arguments of the shim; `--dir DIR` is added. For the real binary:
    /// its own path and `shim`.
    pub shim_command: Vec<String>,
    /// How long a shim may take to answer that its task was spawned.
    pub start_timeout: Duration,
    /// Whether to put tasks into cgroups where that is permitted.
    pub use_cgroups: bool,
}

impl LocalConfig {
    /// Shims of the given program, as `PROGRAM shim --dir DIR`.
    #[must_use]
    pub fn of_binary(program: &Path) -> Self {
        Self {
            shim_command: vec![program.display().to_string(), "shim".to_owned()],
            start_timeout: Duration::from_secs(30),
            use_cgroups: true,
        }
    }
}

/// Runs tasks on this machine.
pub struct LocalExecutor {
    config: LocalConfig,
    clock: Arc<dyn Clock>,
    group_parent: Result<PathBuf, String>,
    changes: watch::Sender<u64>,
    watched: Arc<adopt::Watched>,
}

impl LocalExecutor {
    /// Makes the executor; looks once whether cgroups may be used.
    #[must_use]
    pub fn new(config: LocalConfig, clock: Arc<dyn Clock>) -> Self {
        let group_parent = if config.use_cgroups {
            cgroup::prepare_parent()
        } else {
            Err("cgroups are switched off in the configuration".to_owned())
        };
        match &group_parent {
            Ok(parent) => tracing::info!(parent = %parent.display(), "limits are enforced through cgroups"),
            Err(reason) => tracing::info!(%reason, "memory limits are watched, CPU shares are not enforced"),
        }
        let changes = watch::Sender::new(0);
        let watched = adopt::Watched::new(changes.clone());
        Self {
            config,
            clock,
            group_parent,
            changes,
            watched,
        }
    }

    /// Why limits are watched instead of enforced; `None` if they are enforced.
    #[must_use]
    pub fn limits_not_enforced_because(&self) -> Option<&str> {
        self.group_parent.as_ref().err().map(String::as_str)
    }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExecutorError> + Send + 'static,
) -> Result<T, ExecutorError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(ExecutorError::Interrupted))
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn start(&self, spec: &TaskSpec) -> Result<TaskState, ExecutorError> {
        start::start(self, spec).await
    }

    async fn inspect(&self, task: &TaskRef) -> Result<TaskState, ExecutorError> {
        let (clock, asked) = (self.clock.clone(), task.clone());
        let state = blocking(move || inspect::inspect(&asked, clock.as_ref())).await?;
        if matches!(state, TaskState::Running { .. }) {
            self.watched.adopt(&task.dir);
        }
        Ok(state)
    }

    async fn stop(&self, task: &TaskRef, grace_ms: u64) -> Result<(), ExecutorError> {
        let (clock, asked) = (self.clock.clone(), task.clone());
        let is_new = blocking(move || stop::stop(&asked, grace_ms, clock.as_ref())).await?;
        // Who asks again at every change would otherwise ask without pause until the task has ended.
        if is_new {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    async fn remove(&self, task: &TaskRef) -> Result<(), ExecutorError> {
        let (clock, asked) = (self.clock.clone(), task.clone());
        blocking(move || stop::remove(&asked, clock.as_ref())).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

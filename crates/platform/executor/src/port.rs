//! The executor port.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{ExecutorError, TaskRef, TaskSpec, TaskState};

/// Runs tasks. Every call may be repeated: a second `start`, `stop` or `remove` of the same task changes
/// nothing and answers as the first did.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Starts the task unless it was started before, and answers its state.
    ///
    /// # Errors
    /// The specification is not valid, the disk is full, or the shim could not be run. A program that does
    /// not exist is no error here: it is an exit with code 127 and a message.
    async fn start(&self, spec: &TaskSpec) -> Result<TaskState, ExecutorError>;

    /// Where the task stands. Finding a dead shim without an exit record ends what is left of the task,
    /// records [`crate::ExitKind::Lost`], and answers that.
    ///
    /// # Errors
    /// The record cannot be read or, for a lost task, written.
    async fn inspect(&self, task: &TaskRef) -> Result<TaskState, ExecutorError>;

    /// Asks the task to end: SIGTERM, then SIGKILL after `grace_ms`. A task that was never started becomes
    /// cancelled and will never start. Returns once the request is recorded, not when the task has ended. Asking again
    /// is harmless, and counts as a change only if the grace is shorter.
    ///
    /// # Errors
    /// The request cannot be recorded.
    async fn stop(&self, task: &TaskRef, grace_ms: u64) -> Result<(), ExecutorError>;

    /// Deletes the state and log of a task that has ended or was never started.
    ///
    /// # Errors
    /// The task still runs, or its directory cannot be deleted.
    async fn remove(&self, task: &TaskRef) -> Result<(), ExecutorError>;

    /// Counts up whenever some task may have changed its state. A hint for waking early, not a promise:
    /// observe on a period too.
    fn changes(&self) -> watch::Receiver<u64>;
}

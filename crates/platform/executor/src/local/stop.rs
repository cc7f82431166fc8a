//! Ending a task on request, and deleting what is left of one.

use corliss_clock::Clock;
use nix::sys::signal::Signal;

use super::inspect;
use crate::files::{self, StatusRecord, StopRequest, TaskLock};
use crate::{ExecutorError, ExitKind, TaskExit, TaskRef, TaskState, process};

/// Leaves the request beside the task first, then tells the shim: whichever of the two comes to a shim that
/// is just starting, one of its two looks finds the file. Tells whether anything is other than before: asked again, it
/// only tells the shim again.
pub(super) fn stop(task: &TaskRef, grace_ms: u64, clock: &dyn Clock) -> Result<bool, ExecutorError> {
    files::make_dir(&task.dir)?;
    let is_new = match files::read_stop(&task.dir)? {
        // A later, shorter grace counts; a longer one would take back what was promised.
        Some(earlier) if earlier.grace_ms <= grace_ms => false,
        _ => {
            files::write_stop(&task.dir, StopRequest { grace_ms })?;
            true
        }
    };
    match files::read_status(&task.dir)? {
        Some(record) if record.exit.is_some() => Ok(is_new),
        Some(record) => {
            if process::is_alive(&record.shim) {
                process::signal_all([record.shim.pid], Signal::SIGTERM);
            }
            Ok(is_new)
        }
        None => Ok(cancel_unstarted(task, clock)? || is_new),
    }
}

fn cancel_unstarted(task: &TaskRef, clock: &dyn Clock) -> Result<bool, ExecutorError> {
    // A lock that is held: a shim is starting and will find the request.
    let Some(_lock) = TaskLock::try_take(&task.dir)? else {
        return Ok(false);
    };
    if files::read_status(&task.dir)?.is_some() {
        return Ok(false);
    }
    let me = nix::unistd::getpid().as_raw();
    let writer = process::identity(me).unwrap_or(files::ProcessIdentity {
        pid: me,
        start_ticks: 0,
    });
    let mut record = StatusRecord::new(process::boot_id(), writer);
    record.exit = Some(TaskExit {
        message: Some("it was stopped before it began".to_owned()),
        ..TaskExit::of(ExitKind::Cancelled, clock.now().as_millis())
    });
    files::write_exit(&task.dir, &record)?;
    Ok(true)
}

pub(super) fn remove(task: &TaskRef, clock: &dyn Clock) -> Result<(), ExecutorError> {
    if let TaskState::Running { .. } = inspect::inspect(task, clock)? {
        let reason = format!("{} still runs: stop it before deleting it", task.id);
        return Err(ExecutorError::InvalidSpec { reason });
    }
    match std::fs::remove_dir_all(&task.dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ExecutorError::io("delete", &task.dir, error))
        }
        _ => Ok(()),
    }
}

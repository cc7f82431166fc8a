//! Observing: read the record; if its shim is dead, end what is left and write the record it owed.

use std::time::{Duration, Instant};

use corliss_clock::Clock;
use nix::sys::signal::Signal;

use crate::files::{self, StatusRecord, TaskLock};
use crate::{ExecutorError, ExitKind, TaskExit, TaskRef, TaskState, process};

/// How long the strays of a dead shim may take to vanish after SIGKILL.
const STRAYS_GONE: Duration = Duration::from_secs(10);

pub(super) fn inspect(task: &TaskRef, clock: &dyn Clock) -> Result<TaskState, ExecutorError> {
    let Some(record) = files::read_status(&task.dir)? else {
        return Ok(TaskState::NotStarted);
    };
    if let Some(state) = settled(&record) {
        return Ok(state);
    }
    // No exit yet. Whoever gets the lock now knows that no shim is on it.
    let Some(_lock) = TaskLock::try_take(&task.dir)? else {
        return Ok(under_way(&record));
    };
    // The shim may have ended properly between the two looks.
    let Some(mut record) = files::read_status(&task.dir)? else {
        return Ok(TaskState::NotStarted);
    };
    if let Some(state) = settled(&record) {
        return Ok(state);
    }
    end_strays(task, &record);
    let exit = lost(&record, clock);
    record.exit = Some(exit.clone());
    files::write_exit(&task.dir, &record)?;
    Ok(TaskState::Exited(exit))
}

fn settled(record: &StatusRecord) -> Option<TaskState> {
    record.exit.clone().map(TaskState::Exited)
}

/// The lock is held: the shim is starting or running its task.
fn under_way(record: &StatusRecord) -> TaskState {
    match (&record.main, record.started_ms) {
        (Some(main), Some(started_ms)) => TaskState::Running {
            pid: main.pid,
            started_ms,
        },
        // About to spawn. Not "not started": it must not be given up or begun elsewhere.
        _ => TaskState::Running {
            pid: record.shim.pid,
            started_ms: 0,
        },
    }
}

fn lost(record: &StatusRecord, clock: &dyn Clock) -> TaskExit {
    let message = if record.boot_id == process::boot_id() {
        "its shim ended without a record, as after kill -9; what was left of the task was killed"
    } else {
        "the machine restarted while it ran"
    };
    TaskExit {
        started_ms: record.started_ms,
        message: Some(message.to_owned()),
        ..TaskExit::of(ExitKind::Lost, clock.now().as_millis())
    }
}

/// The main process died with its shim (it was tied to it); its children may live on.
fn end_strays(task: &TaskRef, record: &StatusRecord) {
    let begun = Instant::now();
    loop {
        let strays = process::strays(&task.id, record);
        if strays.is_empty() {
            return;
        }
        if begun.elapsed() > STRAYS_GONE {
            tracing::error!(task = %task.id, ?strays, "processes of a lost task could not be killed");
            return;
        }
        process::signal_all(strays, Signal::SIGKILL);
        std::thread::sleep(Duration::from_millis(20));
    }
}

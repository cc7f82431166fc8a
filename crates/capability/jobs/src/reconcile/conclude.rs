//! What follows for a job from how its tasks stand: pure, so that it can be tested by the thousand.

use corliss_executor::{ExitKind, TaskExit, TaskState};
use corliss_types::Timestamp;

use crate::store::JobChange;
use crate::{Command, ExitClass, Job, JobState, StopCause, Task, TaskPhase, text};

/// The task as the executor sees it now.
///
/// `gone` is given if the task must have been started, or may have been before the machine went down: then
/// a task without a record is lost, and not to be started.
pub(super) fn observed(task: &Task, state: TaskState, gone: Option<Timestamp>) -> Task {
    let mut task = task.clone();
    match (state, gone) {
        (TaskState::NotStarted, None) => {}
        (TaskState::NotStarted, Some(now)) => {
            let message = Some("the machine restarted, or its record was deleted".to_owned());
            let exit = TaskExit {
                message,
                ..TaskExit::of(ExitKind::Lost, now.as_millis())
            };
            (task.phase, task.exit) = (TaskPhase::Exited, Some(exit));
        }
        // The shim is about to spawn: its own pid would be taken for the program's.
        (TaskState::Running { started_ms: 0, .. }, _) => {}
        (TaskState::Running { pid, .. }, _) => (task.phase, task.pid) = (TaskPhase::Running, Some(pid)),
        (TaskState::Exited(exit), _) => (task.phase, task.exit) = (TaskPhase::Exited, Some(exit)),
    }
    task
}

/// Why a task could not be started, when that is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartFailure {
    pub reason: String,
    pub class: ExitClass,
}

/// What becomes of the job; `None` if nothing changed.
pub(super) fn conclude(
    job: &Job,
    tasks: Vec<Task>,
    start_failure: Option<StartFailure>,
    now: Timestamp,
) -> Option<JobChange> {
    let mut change = JobChange {
        job: job.id.clone(),
        generation: job.generation,
        state: job.state,
        reason: None,
        class: None,
        stop_cause: None,
        started: None,
        ended: None,
        saved: None,
        tasks: Vec::new(),
    };
    if tasks.iter().all(|task| task.phase == TaskPhase::Exited) {
        (change.state, change.reason, change.class) = verdict(job, &tasks);
        change.ended = Some(now);
    } else if let (Some(failure), None) = (start_failure, job.stop_cause) {
        change.state = JobState::Stopping;
        change.stop_cause = Some(StopCause::StartFailed);
        (change.reason, change.class) = (Some(failure.reason), Some(failure.class));
    } else if job.stop_cause.is_none() && tasks.iter().any(failed) {
        change.state = JobState::Stopping;
        change.stop_cause = Some(StopCause::Gang);
        change.reason = Some(format!("{}; the others are being ended", blame(job, &tasks).0));
    } else if job.stop_cause.is_some() {
        change.state = JobState::Stopping;
    } else if tasks.iter().all(|task| task.phase != TaskPhase::Pending) {
        change.state = JobState::Running;
    }
    // The first record of it stays.
    change.started = match change.state {
        JobState::Running => Some(now),
        state if state.is_final() => first_start(&tasks),
        _ => None,
    };
    let unchanged = change.state == job.state && change.stop_cause.is_none() && tasks == job.tasks;
    change.tasks = tasks;
    (!unchanged).then_some(change)
}

fn first_start(tasks: &[Task]) -> Option<Timestamp> {
    let starts = tasks.iter().filter_map(|task| task.exit.as_ref()?.started_ms);
    starts.min().map(Timestamp::from_millis)
}

fn failed(task: &Task) -> bool {
    task.exit.as_ref().is_some_and(|exit| !exit.succeeded())
}

/// The end of a job whose tasks have all ended.
fn verdict(job: &Job, tasks: &[Task]) -> (JobState, Option<String>, Option<ExitClass>) {
    if !tasks.iter().any(failed) {
        return (JobState::Succeeded, None, None);
    }
    match job.stop_cause {
        Some(StopCause::Cancel) => (JobState::Cancelled, Some("it was cancelled".to_owned()), None),
        Some(StopCause::Interrupt) => {
            let reason = "the server went down and took its tasks along";
            (
                JobState::Failed,
                Some(reason.to_owned()),
                Some(ExitClass::Infrastructure),
            )
        }
        // Reason and class were recorded when the start failed.
        Some(StopCause::StartFailed) => (JobState::Failed, None, None),
        // For whom was recorded when it was decided.
        Some(StopCause::Preempted) => (JobState::Failed, None, Some(ExitClass::Preempted)),
        Some(StopCause::Gang) | None => {
            let (reason, class) = blame(job, tasks);
            (JobState::Failed, Some(reason), Some(class))
        }
    }
}

/// Which worker was at fault, in words, and of which kind. What the machine did to one worker explains what
/// the others then did by themselves, so it comes first; otherwise the first to fail counts.
fn blame(job: &Job, tasks: &[Task]) -> (String, ExitClass) {
    let culprit = tasks
        .iter()
        .filter_map(|task| Some((task, task.exit.as_ref()?)))
        .filter(|(_, exit)| !exit.succeeded())
        // What we ended ourselves after the first failure is nobody's fault.
        .filter(|(_, exit)| job.stop_cause.is_none() || exit.kind != ExitKind::Cancelled)
        .min_by_key(|(task, exit)| (class_of(job, exit), exit.ended_ms, task.rank));
    let Some((task, exit)) = culprit else {
        return ("its workers were stopped".to_owned(), ExitClass::Infrastructure);
    };
    let who = if job.spec.workers > 1 {
        format!("rank {}", task.rank)
    } else {
        "it".to_owned()
    };
    (format!("{who} {}", text::ended(exit)), class_of(job, exit))
}

/// SIGHUP, SIGINT, SIGKILL and SIGTERM come from outside; every other signal is the program's own crash.
const FROM_OUTSIDE: [i32; 4] = [1, 2, 9, 15];
/// A shell tells of a child that a signal ended by this much plus the signal.
const SHELL_SIGNAL_BASE: i32 = 128;

fn class_of(job: &Job, exit: &TaskExit) -> ExitClass {
    let outside = |signal: i32| FROM_OUTSIDE.contains(&signal);
    let by_shell = match &job.spec.command {
        Command::Shell(_) => true,
        Command::Argv(argv) => {
            argv.first().is_some_and(|first| first.ends_with("sh"))
                && argv.get(1).is_some_and(|flag| flag == "-c")
        }
    };
    let infrastructure = match exit.kind {
        ExitKind::Lost | ExitKind::Cancelled => true,
        ExitKind::Signaled => exit.signal.is_some_and(outside),
        ExitKind::Exited => by_shell && exit.code.is_some_and(|code| outside(code - SHELL_SIGNAL_BASE)),
        ExitKind::OutOfMemory | ExitKind::TimedOut => false,
    };
    if infrastructure {
        ExitClass::Infrastructure
    } else {
        ExitClass::User
    }
}

#[cfg(test)]
#[path = "conclude_tests.rs"]
mod tests;

//! Stage one up to the spawn: claim the directory, leave the server's session, write `starting`, spawn,
//! answer.
//!
//! The order makes a task run at most once. Nothing is spawned before `starting` is on disk, and a shim
//! that finds a record it did not write never spawns: a dead predecessor's task is lost, not repeated.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use corliss_clock::{Clock, SystemClock};
use nix::sys::prctl::set_child_subreaper;
use nix::unistd::{dup2_stdin, dup2_stdout, setsid};

use super::{Answer, GROUP, GROUP_PARENT, PARENT, STAGE, supervise};
use crate::cgroup::TaskGroup;
use crate::files::{self, StatusRecord, TaskLock};
use crate::{ExitKind, TaskExit, TaskSpec, process};

/// An observer may hold the lock for a moment; longer means another shim.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The spawned task, as supervision needs it.
pub(super) struct Spawned {
    pub record: StatusRecord,
    pub pid: i32,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub group: Option<TaskGroup>,
    pub oom_kills_before: Option<u64>,
}

/// Everything, from claim to exit record.
pub(super) fn run(dir: &Path) -> Result<(), String> {
    // First of all, so that a request to stop waits to be read instead of ending this shim, and no death of a
    // child is missed. Stage two unblocks them again.
    supervise::block_signals()?;
    let spec = files::read_spec(dir)
        .map_err(told)?
        .ok_or("there is no spec.json")?;
    let Some(_lock) = claim(dir)? else {
        answer(&Answer::Known);
        return Ok(());
    };
    if files::read_status(dir).map_err(told)?.is_some() {
        // Ended, or a predecessor died: the executor tells which and records it.
        answer(&Answer::Known);
        return Ok(());
    }
    detach()?;
    let me =
        process::identity(nix::unistd::getpid().as_raw()).ok_or("/proc does not tell of this process")?;
    let mut record = StatusRecord::new(process::boot_id(), me);
    files::reserve_exit(dir).map_err(told)?;
    if files::read_stop(dir).map_err(told)?.is_some() {
        record.exit = Some(TaskExit {
            message: Some("it was stopped before it began".to_owned()),
            ..TaskExit::of(ExitKind::Cancelled, now_ms())
        });
        files::write_exit(dir, &record).map_err(told)?;
        answer(&Answer::Known);
        return Ok(());
    }
    files::write_status(dir, &record).map_err(told)?;
    let spawned = match spawn(&spec, record.clone()) {
        Ok(spawned) => spawned,
        Err(reason) => {
            let message = Some(format!("the task could not be spawned: {reason}"));
            record.exit = Some(TaskExit {
                message,
                ..TaskExit::of(ExitKind::Lost, now_ms())
            });
            files::write_exit(dir, &record).map_err(told)?;
            return Err(reason);
        }
    };
    supervise::run(&spec, spawned);
    Ok(())
}

fn claim(dir: &Path) -> Result<Option<TaskLock>, String> {
    let begun = Instant::now();
    loop {
        if let Some(lock) = TaskLock::try_take(dir).map_err(told)? {
            return Ok(Some(lock));
        }
        if begun.elapsed() > LOCK_PATIENCE {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Leaves the server's session, so that what ends the server's terminal or group does not end us, and
/// takes in orphans of the task.
fn detach() -> Result<(), String> {
    // Refused only to a process that leads a group, as when a person types the command: then its terminal
    // is the one it wants.
    if let Err(error) = setsid() {
        tell!("corliss shim: stays in its session: {error}");
    }
    set_child_subreaper(true).map_err(|error| format!("cannot become a subreaper: {error}"))?;
    std::env::set_current_dir("/").map_err(told)
}

fn spawn(spec: &TaskSpec, mut record: StatusRecord) -> Result<Spawned, String> {
    let group = make_group(spec);
    let oom_kills_before = process::kernel_oom_kills();
    let mut command = Command::new(std::env::current_exe().map_err(told)?);
    command
        .args(std::env::args_os().skip(1))
        .env(STAGE, "exec")
        .env(PARENT, record.shim.pid.to_string())
        .env_remove(GROUP)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(group) = &group {
        command.env(GROUP, group.path());
    }
    let mut child = command.spawn().map_err(told)?;
    let pid = i32::try_from(child.id()).map_err(told)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("the pipes of the task are missing".to_owned());
    };
    // It may be gone already; a start of 0 is older than any process, so nothing else is taken for it.
    record.main =
        Some(process::identity(pid).unwrap_or(crate::files::ProcessIdentity { pid, start_ticks: 0 }));
    let started_ms = now_ms();
    record.started_ms = Some(started_ms);
    if let Err(error) = files::write_status(&spec.dir, &record) {
        tell!("corliss shim: the start is not recorded: {error}");
    }
    answer(&Answer::Started { pid, started_ms });
    Ok(Spawned {
        record,
        pid,
        stdout: stdout.into(),
        stderr: stderr.into(),
        group,
        oom_kills_before,
    })
}

fn make_group(spec: &TaskSpec) -> Option<TaskGroup> {
    let parent = std::env::var_os(GROUP_PARENT)?;
    match TaskGroup::create(
        Path::new(&parent),
        spec.id.as_str(),
        spec.memory_limit_bytes,
        spec.cpu_milli,
    ) {
        Ok(group) => Some(group),
        Err(reason) => {
            tell!("corliss shim: no cgroup for this task: {reason}");
            None
        }
    }
}

/// Answers the server and lets go of its pipes. A server that is gone is no matter.
pub(super) fn answer(answer: &Answer) {
    if let Ok(line) = serde_json::to_string(answer) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
    }
}

/// Wall-clock time, milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    SystemClock::new().now().as_millis()
}

pub(super) fn told(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

//! Stage two: prepare this process and become the task.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;

use super::{GROUP, PARENT};
use crate::{TaskSpec, cgroup, files, process};

/// What a shell answers for a program that is not there.
const NOT_FOUND: u8 = 127;
/// What a shell answers for a program that cannot be run.
const NOT_RUNNABLE: u8 = 126;
/// When memory runs out, the kernel should choose a task before the server that holds the records.
const OOM_SCORE: &str = "500";

/// Returns only if the task could not be become.
pub(super) fn become_task(dir: &Path) -> ExitCode {
    let (code, reason) = match prepare(dir) {
        Ok(spec) => {
            let error = replace(&spec);
            let code = if error.kind() == std::io::ErrorKind::NotFound {
                NOT_FOUND
            } else {
                NOT_RUNNABLE
            };
            (code, explain(&spec, &error))
        }
        Err(reason) => (NOT_RUNNABLE, reason),
    };
    // Standard error is the task's log; the file is how stage one learns that this was not the task.
    tell!("corliss: {reason}");
    let _ = std::fs::write(files::exec_error_path(dir), &reason);
    ExitCode::from(code)
}

fn prepare(dir: &Path) -> Result<TaskSpec, String> {
    set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("cannot tie this task to its shim: {error}"))?;
    // The shim may have died before the line above took hold; then nobody will send that signal.
    let expected = std::env::var(PARENT).unwrap_or_default();
    if getppid().to_string() != expected {
        return Err("the shim died while it started this task".to_owned());
    }
    // A blocked signal stays blocked across exec, and stage one blocks those that it reads: a task that never
    // heard SIGTERM would lose its grace.
    SigSet::empty()
        .thread_set_mask()
        .map_err(|error| format!("cannot unblock signals: {error}"))?;
    if let Some(group) = std::env::var_os(GROUP) {
        cgroup::enter(Path::new(&group))?;
    }
    // Raising one's own score needs no privilege; where /proc is read-only the kernel chooses as it likes.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let spec = files::read_spec(dir).map_err(|error| error.to_string())?;
    spec.ok_or_else(|| "there is no spec.json".to_owned())
}

fn replace(spec: &TaskSpec) -> std::io::Error {
    let Some(program) = spec.argv.first() else {
        return std::io::Error::other("the command is empty");
    };
    let mut command = Command::new(program);
    command
        .args(&spec.argv[1..])
        .env_clear()
        .envs(&spec.env)
        .env(process::TASK_MARK, spec.id.as_str())
        .current_dir(&spec.cwd);
    command.exec()
}

fn explain(spec: &TaskSpec, error: &std::io::Error) -> String {
    let program = spec.argv.first().map_or("", String::as_str);
    if !spec.cwd.is_dir() {
        return format!(
            "cannot run '{program}': the working folder {} does not exist",
            spec.cwd.display()
        );
    }
    if error.kind() == std::io::ErrorKind::NotFound {
        return format!("cannot run '{program}': no such program in the task's PATH");
    }
    format!("cannot run '{program}': {error}")
}

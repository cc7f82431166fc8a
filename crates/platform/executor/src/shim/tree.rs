//! The task's process tree: reaping it, signalling it, and ending what the main process left behind.

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::cgroup::TaskGroup;
use crate::process;

/// How the main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MainEnd {
    Code(i32),
    Signal(i32),
}

/// All that descends from this shim.
pub(super) struct Tree {
    main: Pid,
    end: Option<MainEnd>,
    empty: bool,
}

impl Tree {
    pub(super) fn new(main: i32) -> Self {
        Self {
            main: Pid::from_raw(main),
            end: None,
            empty: false,
        }
    }

    pub(super) fn main_end(&self) -> Option<MainEnd> {
        self.end
    }

    /// Whether no process is left.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Collects every child that has ended, orphans that fell to us included.
    pub(super) fn reap(&mut self) {
        loop {
            let (pid, end) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, MainEnd::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, MainEnd::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => {
                    self.empty = true;
                    return;
                }
            };
            if pid == self.main {
                self.end = Some(end);
            }
        }
    }

    /// Asks politely: the main process and its group, or all that is left once it has ended. A stopped
    /// process is continued, or it could not hear.
    pub(super) fn ask(&self) {
        for signal in [Signal::SIGTERM, Signal::SIGCONT] {
            if self.end.is_none() {
                let _ = killpg(self.main, signal);
            } else {
                process::signal_all(self.living(), signal);
            }
        }
    }

    /// Kills everything now.
    pub(super) fn kill(&self, group: Option<&TaskGroup>) {
        if let Some(group) = group {
            group.kill();
        }
        if self.end.is_none() {
            let _ = killpg(self.main, Signal::SIGKILL);
        }
        process::signal_all(self.living(), Signal::SIGKILL);
    }

    fn living(&self) -> Vec<i32> {
        process::descendants(nix::unistd::getpid().as_raw())
            .into_keys()
            .collect()
    }
}

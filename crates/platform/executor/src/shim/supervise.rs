//! Stage one after the spawn: one thread, one loop over signals, outputs and deadlines, until the whole
//! tree has ended and the exit is on disk.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::claim::{Spawned, now_ms, told};
use super::memory::MemoryWatch;
use super::output::Output;
use super::tree::{MainEnd, Tree};
use crate::logs::LogWriter;
use crate::{ExecutorError, ExitKind, LimitEnforcement, TaskExit, TaskSpec, files, process};

/// SIGKILL is sent again this often: a tree that forks while it is killed needs more than one pass.
const KILL_AGAIN: Duration = Duration::from_millis(100);
/// Passes until a process counts as one that the kernel will not kill (30 s).
const KILL_PASSES: u32 = 300;
/// The longest sleep; every wake-up reason has its own deadline, this is only a net.
const NAP: Duration = Duration::from_secs(30);
/// Waiting line starts are looked at this often.
const PARTIAL_LOOK: Duration = Duration::from_millis(100);
/// Between attempts to write the exit record when the disk refuses: from the first to the last.
const RECORD_AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// Why the shim itself ended the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Stopped,
    /// Told to end without a request of the executor, as when the machine shuts down.
    Interrupted,
    TimedOut,
    OutOfMemory {
        used_bytes: u64,
    },
}

fn watched_signals() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set
}

/// From here on these signals wait to be read.
pub(super) fn block_signals() -> Result<(), String> {
    watched_signals().thread_block().map_err(told)
}

/// Supervises to the end and records it.
pub(super) fn run(spec: &TaskSpec, spawned: Spawned) {
    let log = LogWriter::open(&spec.dir, spec.log_limit_bytes)
        .inspect_err(|error| tell!("corliss shim: no log is kept: {error}"))
        .ok();
    let signals = SignalFd::with_flags(&watched_signals(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .inspect_err(|error| tell!("corliss shim: cannot read signals, will poll: {error}"))
        .ok();
    let watched = if spawned.group.is_some() {
        None
    } else {
        spec.memory_limit_bytes
    };
    let mut supervisor = Supervisor {
        spec,
        tree: Tree::new(spawned.pid),
        output: Output::new(spawned.stdout, spawned.stderr, log),
        memory: MemoryWatch::new(watched),
        signals,
        cause: None,
        timeout_at: spec
            .timeout_ms
            .map(|ms| Instant::now() + Duration::from_millis(ms)),
        kill_at: None,
        kill_passes: 0,
        sweeping: false,
        spawned: Kept {
            record: spawned.record,
            group: spawned.group,
            oom_kills_before: spawned.oom_kills_before,
        },
    };
    // A request made while this shim was starting could not signal it.
    if matches!(files::read_stop(&spec.dir), Ok(Some(_))) {
        supervisor.stop();
    }
    while !supervisor.is_done() {
        supervisor.turn();
    }
    supervisor.drain();
    supervisor.record();
}

struct Kept {
    record: files::StatusRecord,
    group: Option<crate::cgroup::TaskGroup>,
    oom_kills_before: Option<u64>,
}

struct Supervisor<'a> {
    spec: &'a TaskSpec,
    spawned: Kept,
    tree: Tree,
    output: Output,
    memory: MemoryWatch,
    signals: Option<SignalFd>,
    cause: Option<Cause>,
    timeout_at: Option<Instant>,
    kill_at: Option<Instant>,
    kill_passes: u32,
    sweeping: bool,
}

impl Supervisor<'_> {
    fn is_done(&self) -> bool {
        (self.tree.main_end().is_some() && self.tree.is_empty()) || self.kill_passes > KILL_PASSES
    }

    fn turn(&mut self) {
        let until = self.next_wake();
        self.wait(until);
        self.read_signals();
        self.tree.reap();
        let now = Instant::now();
        if self.tree.main_end().is_none() {
            self.watch(now);
        } else if !self.sweeping && !self.tree.is_empty() {
            // The main process is gone; what it left behind follows.
            self.sweeping = true;
            self.end_by(now);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.tree.kill(self.spawned.group.as_ref());
            self.kill_passes += 1;
            self.kill_at = Some(now + KILL_AGAIN);
        }
        self.output.show_partial();
    }

    fn watch(&mut self, now: Instant) {
        if let Some(used_bytes) = self.memory.sample(now)
            && self.cause.is_none()
        {
            self.cause = Some(Cause::OutOfMemory { used_bytes });
            self.kill_at = Some(now);
        }
        if self.timeout_at.is_some_and(|at| now >= at) && self.cause.is_none() {
            self.cause = Some(Cause::TimedOut);
            self.end_by(now);
        }
    }

    /// Asks now and will kill after the grace.
    fn end_by(&mut self, now: Instant) {
        self.tree.ask();
        self.kill_after_grace(now);
    }

    /// Will kill after the grace, or earlier if that was decided before.
    fn kill_after_grace(&mut self, now: Instant) {
        let grace_ms = match files::read_stop(&self.spec.dir) {
            Ok(Some(request)) => request.grace_ms,
            _ => self.spec.grace_ms,
        };
        let at = now + Duration::from_millis(grace_ms);
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn stop(&mut self) {
        if self.cause.is_none() {
            let requested = matches!(files::read_stop(&self.spec.dir), Ok(Some(_)));
            self.cause = Some(if requested {
                Cause::Stopped
            } else {
                Cause::Interrupted
            });
            self.end_by(Instant::now());
        } else {
            // Asked again: perhaps with less patience, but a program that is cleaning up is not disturbed.
            self.kill_after_grace(Instant::now());
        }
    }

    fn next_wake(&mut self) -> Instant {
        let now = Instant::now();
        let mut wake = now + NAP;
        let mut no_later = |at: Instant| wake = wake.min(at);
        if self.tree.main_end().is_none() {
            no_later(self.memory.next());
            if let (Some(at), None) = (self.timeout_at, self.cause) {
                no_later(at);
            }
        }
        if let Some(at) = self.kill_at {
            no_later(at);
        }
        if self.signals.is_none() || self.output.show_partial() {
            no_later(now + PARTIAL_LOOK);
        }
        wake
    }

    /// Sleeps until a signal, output or `until`, and takes the output there is.
    fn wait(&mut self, until: Instant) {
        let readable: Vec<usize> = {
            let pipes: Vec<(usize, _)> = self.output.open().collect();
            let mut fds: Vec<PollFd<'_>> = pipes
                .iter()
                .map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN))
                .collect();
            fds.extend(
                self.signals
                    .iter()
                    .map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)),
            );
            // Rounded up, or the last millisecond would be spent turning.
            let wait = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            if poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)).is_err() {
                return;
            }
            pipes
                .iter()
                .zip(&fds)
                .filter(|(_, fd)| fd.any() == Some(true))
                .map(|((index, _), _)| *index)
                .collect()
        };
        for index in readable {
            self.output.take(index);
        }
    }

    fn read_signals(&mut self) {
        while let Some(Ok(Some(info))) = self.signals.as_ref().map(SignalFd::read_signal) {
            if info.ssi_signo != Signal::SIGCHLD as u32 {
                self.stop();
            }
        }
    }

    /// Takes what the pipes still hold. Nobody writes any more, unless an unkillable process does, so
    /// this does not wait.
    fn drain(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.output.open().next().is_some() && Instant::now() < deadline {
            let ready: Vec<usize> = self
                .output
                .open()
                .filter(|(_, fd)| {
                    let mut fds = [PollFd::new(*fd, PollFlags::POLLIN)];
                    poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].any() == Some(true)
                })
                .map(|(index, _)| index)
                .collect();
            if ready.is_empty() {
                break;
            }
            for index in ready {
                self.output.take(index);
            }
        }
        self.output.finish();
    }

    fn record(mut self) {
        let exit = self.exit();
        if let Some(group) = self.spawned.group.take() {
            group.remove();
        }
        self.spawned.record.exit = Some(exit);
        let mut pause = RECORD_AGAIN[0];
        while let Err(error) = files::write_exit(&self.spec.dir, &self.spawned.record) {
            if let ExecutorError::Io { source, .. } = &error
                && source.kind() == std::io::ErrorKind::NotFound
            {
                // The folder was deleted under us: nobody is left to tell.
                return;
            }
            tell!("corliss shim: the exit is not recorded yet: {}", told(error));
            std::thread::sleep(pause);
            pause = (pause * 2).min(RECORD_AGAIN[1]);
        }
    }

    fn exit(&self) -> TaskExit {
        let (code, signal) = match self.tree.main_end() {
            Some(MainEnd::Code(code)) => (Some(code), None),
            Some(MainEnd::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let (kind, enforced_by, message) = self.classify();
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
        // ru_maxrss is KiB, of the largest single process; the samples are of the whole tree.
        let largest = usage
            .as_ref()
            .map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * 1024);
        let group_peak = self
            .spawned
            .group
            .as_ref()
            .and_then(crate::cgroup::TaskGroup::peak_bytes);
        TaskExit {
            kind,
            code,
            signal,
            started_ms: self.spawned.record.started_ms,
            ended_ms: now_ms(),
            peak_memory_bytes: Some(group_peak.unwrap_or_else(|| largest.max(self.memory.peak_bytes()))),
            cpu_time_ms: usage.map(|usage| {
                let millis = |time: nix::sys::time::TimeVal| {
                    u64::try_from(time.tv_sec() * 1000 + time.tv_usec() / 1000).unwrap_or(0)
                };
                millis(usage.user_time()) + millis(usage.system_time())
            }),
            enforced_by,
            message,
        }
    }

    fn classify(&self) -> (ExitKind, Option<LimitEnforcement>, Option<String>) {
        match self.cause {
            Some(Cause::Stopped) => (ExitKind::Cancelled, None, None),
            Some(Cause::Interrupted) => {
                let message = "something other than Corliss told its shim to end, as a shutdown does";
                (ExitKind::Lost, None, Some(message.to_owned()))
            }
            Some(Cause::TimedOut) => {
                let limit_ms = self.spec.timeout_ms.unwrap_or(0);
                (
                    ExitKind::TimedOut,
                    None,
                    Some(format!("it ran longer than its limit of {limit_ms} ms")),
                )
            }
            Some(Cause::OutOfMemory { used_bytes }) => {
                let limit = self.spec.memory_limit_bytes.unwrap_or(0);
                let message = format!("it held {used_bytes} bytes of memory, its limit is {limit}");
                (
                    ExitKind::OutOfMemory,
                    Some(LimitEnforcement::Watched),
                    Some(message),
                )
            }
            None => self.classify_own_end(),
        }
    }

    /// It ended without our doing.
    fn classify_own_end(&self) -> (ExitKind, Option<LimitEnforcement>, Option<String>) {
        const SIGKILL: i32 = Signal::SIGKILL as i32;
        let end = self.tree.main_end();
        let failed = end != Some(MainEnd::Code(0));
        if failed
            && self
                .spawned
                .group
                .as_ref()
                .is_some_and(|group| group.oom_kills() > 0)
        {
            let limit = self.spec.memory_limit_bytes.unwrap_or(0);
            let message = format!("the kernel ended it at its limit of {limit} bytes of memory");
            return (
                ExitKind::OutOfMemory,
                Some(LimitEnforcement::Cgroup),
                Some(message),
            );
        }
        // A shell tells of a killed child by 128 + signal.
        let killed = matches!(end, Some(MainEnd::Signal(SIGKILL)) | Some(MainEnd::Code(137)));
        if killed && self.kernel_killed_for_memory() {
            let message = "the kernel ran out of memory while it ran and killed it";
            return (
                ExitKind::OutOfMemory,
                Some(LimitEnforcement::Kernel),
                Some(message.to_owned()),
            );
        }
        match end {
            Some(MainEnd::Signal(_)) => (ExitKind::Signaled, None, None),
            Some(MainEnd::Code(_)) => (ExitKind::Exited, None, self.exec_error()),
            None => {
                let message = "a process of it could not be killed; it may wait on a dead disk or device";
                (ExitKind::Lost, None, Some(message.to_owned()))
            }
        }
    }

    fn kernel_killed_for_memory(&self) -> bool {
        match (self.spawned.oom_kills_before, process::kernel_oom_kills()) {
            (Some(before), Some(after)) => after > before,
            _ => false,
        }
    }

    fn exec_error(&self) -> Option<String> {
        let text = std::fs::read_to_string(files::exec_error_path(&self.spec.dir)).ok()?;
        Some(text.chars().take(1000).collect())
    }
}

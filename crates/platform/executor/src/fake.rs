//! The twin without processes: for tests of what stands above the executor.
//!
//! It runs `sh -c SCRIPT` where the script is a list of `echo TEXT`, `sleep SECONDS`, `trap '' TERM`,
//! `kill -KILL $$` and `exit CODE`, joined by `;`: enough for the conformance suite to give both
//! implementations the same specification. Like a shim, it outlives whoever holds the port: keep the `Arc`
//! and make a new service over it to play a server that restarts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use corliss_clock::Clock;
use tokio::sync::{Notify, watch};

use crate::logs::{LogStream, LogWriter};
use crate::{Executor, ExecutorError, ExitKind, TaskExit, TaskRef, TaskSpec, TaskState, files};

/// Scripted tasks in memory; their logs are real files in their directories.
pub struct FakeExecutor {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    changes: watch::Sender<u64>,
    tasks: Mutex<BTreeMap<PathBuf, Entry>>,
}

struct Entry {
    state: TaskState,
    stop_grace_ms: Option<u64>,
    stop: Arc<Notify>,
    starts: u32,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            state: TaskState::NotStarted,
            stop_grace_ms: None,
            stop: Arc::default(),
            starts: 0,
        }
    }
}

impl FakeExecutor {
    /// An executor without tasks.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            clock,
            changes: watch::Sender::new(0),
            tasks: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Ends a running task as something from outside would, such as a signal or a lost shim.
    pub fn end(&self, task: &TaskRef, kind: ExitKind, signal: Option<i32>) {
        self.shared.end(&task.dir, |exit| {
            exit.kind = kind;
            exit.signal = signal;
        });
    }

    /// How often the task was really started.
    #[must_use]
    pub fn starts(&self, task: &TaskRef) -> u32 {
        self.shared.tasks().get(&task.dir).map_or(0, |entry| entry.starts)
    }

    /// How many tasks run now.
    #[must_use]
    pub fn running(&self) -> usize {
        let tasks = self.shared.tasks();
        tasks
            .values()
            .filter(|entry| matches!(entry.state, TaskState::Running { .. }))
            .count()
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Entry>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millis()
    }

    /// The first end counts; later ones find the task ended.
    fn end(&self, dir: &PathBuf, describe: impl FnOnce(&mut TaskExit)) {
        let mut tasks = self.tasks();
        let Some(entry) = tasks.get_mut(dir) else { return };
        let TaskState::Running { started_ms, .. } = entry.state else {
            return;
        };
        let mut exit = TaskExit::of(ExitKind::Exited, self.now_ms());
        exit.started_ms = Some(started_ms);
        describe(&mut exit);
        entry.state = TaskState::Exited(exit);
        entry.stop.notify_one();
        drop(tasks);
        self.changes.send_modify(|count| *count += 1);
    }

    fn stop_grace(&self, dir: &PathBuf) -> Option<u64> {
        self.tasks().get(dir).and_then(|entry| entry.stop_grace_ms)
    }
}

#[async_trait]
impl Executor for FakeExecutor {
    async fn start(&self, spec: &TaskSpec) -> Result<TaskState, ExecutorError> {
        if spec.argv.first().is_none_or(String::is_empty) {
            return Err(ExecutorError::InvalidSpec {
                reason: "the command is empty".to_owned(),
            });
        }
        files::make_dir(&spec.dir)?;
        let (state, stop) = {
            let mut tasks = self.shared.tasks();
            let pid = 1_000_000 + i32::try_from(tasks.len()).unwrap_or(0);
            let entry = tasks.entry(spec.dir.clone()).or_default();
            if entry.state != TaskState::NotStarted {
                return Ok(entry.state.clone());
            }
            entry.starts += 1;
            entry.state = TaskState::Running {
                pid,
                started_ms: self.shared.now_ms(),
            };
            (entry.state.clone(), entry.stop.clone())
        };
        tokio::spawn(run(self.shared.clone(), spec.clone(), stop));
        Ok(state)
    }

    async fn inspect(&self, task: &TaskRef) -> Result<TaskState, ExecutorError> {
        Ok(self
            .shared
            .tasks()
            .get(&task.dir)
            .map_or(TaskState::NotStarted, |entry| entry.state.clone()))
    }

    async fn stop(&self, task: &TaskRef, grace_ms: u64) -> Result<(), ExecutorError> {
        let mut tasks = self.shared.tasks();
        let entry = tasks.entry(task.dir.clone()).or_default();
        let earlier = entry.stop_grace_ms;
        entry.stop_grace_ms = Some(earlier.map_or(grace_ms, |earlier| earlier.min(grace_ms)));
        let is_new = entry.stop_grace_ms != earlier;
        if entry.state == TaskState::NotStarted {
            entry.state = TaskState::Exited(TaskExit::of(ExitKind::Cancelled, self.shared.now_ms()));
        }
        entry.stop.notify_one();
        drop(tasks);
        if is_new {
            self.shared.changes.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    async fn remove(&self, task: &TaskRef) -> Result<(), ExecutorError> {
        let mut tasks = self.shared.tasks();
        if matches!(
            tasks.get(&task.dir),
            Some(Entry {
                state: TaskState::Running { .. },
                ..
            })
        ) {
            let reason = format!("{} still runs: stop it before deleting it", task.id);
            return Err(ExecutorError::InvalidSpec { reason });
        }
        tasks.remove(&task.dir);
        match std::fs::remove_dir_all(&task.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ExecutorError::io("delete", &task.dir, error))
            }
            _ => Ok(()),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

/// How a script goes on after one step.
enum Step {
    Next,
    Code(i32),
    Killed,
    Stopped,
    TimedOut,
}

async fn run(shared: Arc<Shared>, spec: TaskSpec, stop: Arc<Notify>) {
    let end = script(&shared, &spec, &stop).await;
    shared.end(&spec.dir, |exit| match end {
        Step::Code(code) => exit.code = Some(code),
        Step::Killed => (exit.kind, exit.signal) = (ExitKind::Signaled, Some(9)),
        Step::Stopped => (exit.kind, exit.signal) = (ExitKind::Cancelled, Some(15)),
        Step::TimedOut => exit.kind = ExitKind::TimedOut,
        Step::Next => exit.code = Some(0),
    });
}

async fn script(shared: &Shared, spec: &TaskSpec, stop: &Notify) -> Step {
    let Ok(mut log) = LogWriter::open(&spec.dir, spec.log_limit_bytes) else {
        return Step::Code(126);
    };
    let [shell, flag, script] = spec.argv.as_slice() else {
        return Step::Code(127);
    };
    if shell != "sh" || flag != "-c" {
        return Step::Code(127);
    }
    let mut ignores_term = false;
    let timeout = spec.timeout_ms.map(Duration::from_millis);
    for command in script
        .split(';')
        .map(str::trim)
        .filter(|command| !command.is_empty())
    {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let step = match word {
            "echo" => {
                log.take(LogStream::Stdout, format!("{rest}\n").as_bytes(), shared.now_ms());
                Step::Next
            }
            "exit" => Step::Code(rest.parse().unwrap_or(2)),
            "trap" => {
                ignores_term = true;
                Step::Next
            }
            "kill" => Step::Killed,
            "sleep" => {
                let seconds = Duration::from_secs_f64(rest.parse().unwrap_or(0.0));
                sleep(shared, spec, stop, seconds, ignores_term, timeout).await
            }
            _ => Step::Code(127),
        };
        if !matches!(step, Step::Next) {
            return step;
        }
    }
    Step::Next
}

async fn sleep(
    shared: &Shared,
    spec: &TaskSpec,
    stop: &Notify,
    seconds: Duration,
    ignores_term: bool,
    timeout: Option<Duration>,
) -> Step {
    let stopped = async {
        while shared.stop_grace(&spec.dir).is_none() {
            stop.notified().await;
        }
        if ignores_term {
            let grace_ms = shared.stop_grace(&spec.dir).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(grace_ms)).await;
        }
    };
    tokio::select! {
        () = tokio::time::sleep(seconds) => Step::Next,
        () = tokio::time::sleep(timeout.unwrap_or(Duration::MAX)) => Step::TimedOut,
        () = stopped => Step::Stopped,
    }
}

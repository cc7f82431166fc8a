//! What a task is asked to be and what became of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corliss_types::TaskId;
use serde::{Deserialize, Serialize};

/// A process to run, with everything it needs; nothing of the server's environment reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// The task's id; with `dir` it makes `start` idempotent.
    pub id: TaskId,
    /// Program and arguments. The program is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment. `CORLISS_TASK_ID` is added.
    pub env: BTreeMap<String, String>,
    /// Working directory; must exist.
    pub cwd: PathBuf,
    /// State directory of this task, owned by the executor; made if missing.
    pub dir: PathBuf,
    /// Most bytes of memory that the whole process tree may hold.
    pub memory_limit_bytes: Option<u64>,
    /// CPU time share in thousandths of a CPU; enforced only under a delegated cgroup.
    pub cpu_milli: Option<u64>,
    /// Longest run in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Time between SIGTERM and SIGKILL in milliseconds.
    pub grace_ms: u64,
    /// Most bytes of log kept; the newest stay.
    pub log_limit_bytes: u64,
}

impl TaskSpec {
    /// The handle by which this task is observed and stopped.
    #[must_use]
    pub fn task(&self) -> TaskRef {
        TaskRef {
            id: self.id.clone(),
            dir: self.dir.clone(),
        }
    }
}

/// A task's identity: its id and the directory that holds its state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskRef {
    /// Id.
    pub id: TaskId,
    /// State directory.
    pub dir: PathBuf,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Nothing was spawned for it yet; it is safe to start.
    NotStarted,
    /// Its shim is alive and its main process was spawned.
    Running {
        /// Process id of the main process.
        pid: i32,
        /// Wall-clock start, milliseconds since the Unix epoch.
        started_ms: i64,
    },
    /// It ended; this never changes again.
    Exited(TaskExit),
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitKind {
    /// The main process ended by itself with `code`.
    Exited,
    /// The main process was ended by `signal`, which Corliss did not send.
    Signaled,
    /// It was killed for holding more memory than allowed, or by the kernel for lack of memory.
    OutOfMemory,
    /// It ran longer than allowed.
    TimedOut,
    /// It was stopped on request, perhaps before it began.
    Cancelled,
    /// Its shim ended without a record: killed, or the machine restarted.
    Lost,
}

/// Who held the memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitEnforcement {
    /// The kernel, through a cgroup: the limit cannot be passed.
    Cgroup,
    /// The shim, by sampling: a fast allocation can pass the limit for a fraction of a second.
    Watched,
    /// The kernel ran out of memory (or a limit above Corliss was reached) and chose this task.
    Kernel,
}

/// The end of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskExit {
    /// How it ended.
    pub kind: ExitKind,
    /// Exit code of the main process, if it exited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<i32>,
    /// Signal that ended the main process, if one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<i32>,
    /// Start, milliseconds since the Unix epoch; absent if it never started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_ms: Option<i64>,
    /// End, milliseconds since the Unix epoch.
    pub ended_ms: i64,
    /// Most memory seen in use by the process tree, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_memory_bytes: Option<u64>,
    /// User and system CPU time of the process tree, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_time_ms: Option<u64>,
    /// Who enforced memory, when `kind` is [`ExitKind::OutOfMemory`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enforced_by: Option<LimitEnforcement>,
    /// One sentence where the kind alone does not say why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

impl TaskExit {
    /// An end of this kind at this time, with nothing else known.
    #[must_use]
    pub fn of(kind: ExitKind, ended_ms: i64) -> Self {
        Self {
            kind,
            code: None,
            signal: None,
            started_ms: None,
            ended_ms,
            peak_memory_bytes: None,
            cpu_time_ms: None,
            enforced_by: None,
            message: None,
        }
    }

    /// Whether the task ended by itself with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.kind == ExitKind::Exited && self.code == Some(0)
    }
}

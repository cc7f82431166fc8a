//! Jobs as this crate knows them: what was asked for, where it stands, what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corliss_executor::TaskExit;
use corliss_types::{AttemptNumber, JobId, Resources, RunId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Place, Terms};

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// For people; need not be unique.
    pub name: String,
    /// Whether it is meant to end.
    pub kind: JobKind,
    /// The pipeline run it belongs to.
    pub run_id: Option<RunId>,
    /// The step of that run.
    pub step: Option<String>,
    /// Which attempt at the step this is; 1 where there is no step.
    pub attempt: AttemptNumber,
    /// Processes that start together or not at all.
    pub workers: u32,
    /// How they find each other.
    pub launcher: Launcher,
    /// What each of them runs.
    pub command: Command,
    /// The whole environment, to which the job's own variables are added.
    pub env: BTreeMap<String, String>,
    /// Working directory; absolute.
    pub cwd: PathBuf,
    /// What each worker holds. Zero bytes of memory means no limit.
    pub resources: Resources,
    /// Longest run in milliseconds.
    pub timeout_ms: Option<u64>,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// Where it publishes checkpoints, if it does.
    pub checkpoint: Option<CheckpointSpec>,
    /// Most bytes of log kept for each worker.
    pub log_limit_bytes: u64,
    /// How it stands in the queue.
    #[serde(default)]
    pub terms: Terms,
}

/// Whether a job is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Ends by itself.
    Batch,
    /// Runs until stopped.
    Service,
}

/// How the workers of a gang find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launcher {
    /// They do not.
    None,
    /// As under torchrun: ranks and rendezvous in the environment.
    Torchrun,
}

/// What a worker runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Program and arguments.
    Argv(Vec<String>),
    /// A line for `sh -c`.
    Shell(String),
}

/// Where and how often checkpoints are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSpec {
    /// The folder; shared by all attempts at the step.
    pub dir: PathBuf,
    /// How often the program is asked to publish one, in seconds.
    pub every_s: Option<u64>,
    /// How many complete ones are kept.
    pub keep: u32,
}

macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }
        impl $name {
            /// The name as stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("'{text}' is none of {}", [$($text),+].join(", "))),
                }
            }
        }
    };
}

stored_enum!(
    /// Where a job stands.
    JobState {
        /// It waits for its turn.
        Queued = "queued",
        /// It was admitted; its tasks are being started.
        Starting = "starting",
        /// All its tasks were started.
        Running = "running",
        /// Its tasks are being ended.
        Stopping = "stopping",
        /// All its tasks ended well.
        Succeeded = "succeeded",
        /// At least one did not.
        Failed = "failed",
        /// It was ended on request.
        Cancelled = "cancelled",
    }
);

impl JobState {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether resources are held.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

stored_enum!(
    /// Who was at fault when a job failed; decides from which budget a retry is taken.
    ExitClass {
        /// The machine or Corliss: a lost shim, a kill that nobody here sent, a restart.
        Infrastructure = "infrastructure",
        /// The program: its exit code, its crash, its memory, its time.
        User = "user",
        /// Nobody: it was stopped to make room for another, and goes on when it is submitted again.
        Preempted = "preempted",
    }
);

stored_enum!(
    /// Why a job's tasks are being ended.
    StopCause {
        /// Somebody asked for it.
        Cancel = "cancel",
        /// One worker failed, so the others are of no use.
        Gang = "gang",
        /// The server goes down and was told to take its tasks along.
        Interrupt = "interrupt",
        /// A task could not be started, or what it started is of no use.
        StartFailed = "start_failed",
        /// Another job gets what it holds.
        Preempted = "preempted",
    }
);

stored_enum!(
    /// Where a task stands.
    TaskPhase {
        /// It has an id and a folder; it may have been started.
        Pending = "pending",
        /// It was started.
        Running = "running",
        /// It has ended.
        Exited = "exited",
    }
);

/// What is found out once, just before the first task of a gang starts, and is the same for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFacts {
    /// Loopback port on which the gang meets.
    pub master_port: Option<u16>,
    /// The checkpoint to go on from.
    pub resume_from: Option<PathBuf>,
}

/// A job and its tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The key it was submitted under.
    pub key: String,
    /// What was asked for.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: JobState,
    /// Counts its changes.
    pub generation: i64,
    /// One sentence, once there is something to say.
    pub reason: Option<String>,
    /// Who was at fault, once it has failed.
    pub class: Option<ExitClass>,
    /// Why it is being ended, if it is.
    pub stop_cause: Option<StopCause>,
    /// Where each rank is, once admitted.
    pub placement: Vec<Place>,
    /// The boot of the machine in which it was admitted: what that boot left unstarted, a later one does not start.
    pub boot_id: Option<String>,
    /// What all ranks share, once known.
    pub launch: Option<LaunchFacts>,
    /// When it was submitted.
    pub created: Timestamp,
    /// When it was admitted.
    pub admitted: Option<Timestamp>,
    /// When its tasks were running.
    pub started: Option<Timestamp>,
    /// When it reached its final state.
    pub ended: Option<Timestamp>,
    /// One for each rank, once admitted.
    pub tasks: Vec<Task>,
}

/// One worker of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its rank.
    pub rank: u32,
    /// Where it stands.
    pub phase: TaskPhase,
    /// Process id of its main process, once started.
    pub pid: Option<i32>,
    /// How it ended.
    pub exit: Option<TaskExit>,
}

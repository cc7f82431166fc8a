//! What can go wrong with jobs. A job that fails is no error here, it is a job that failed.

use std::path::PathBuf;

use corliss_diagnostics::{Diagnose, Meaning, counted};
use corliss_executor::ExecutorError;
use corliss_metastore::StoreError;
use corliss_types::{JobId, Timestamp};

/// Errors of jobs.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// No such job.
    #[error("there is no job '{job}'")]
    NotFound {
        /// What was asked for.
        job: String,
    },
    /// It cannot be cancelled any more.
    #[error("job {job} has already {state}")]
    Ended {
        /// The job.
        job: JobId,
        /// How it ended.
        state: &'static str,
    },
    /// The job has no worker of this rank.
    #[error("job {job} has {}, none of rank {rank}", counted(*workers, "worker", "workers"))]
    NoSuchRank {
        /// The job.
        job: JobId,
        /// How many it has.
        workers: u32,
        /// What was asked for.
        rank: u32,
    },
    /// The specification cannot be run.
    #[error("the job is not valid: {reason}")]
    InvalidSpec {
        /// Which part of it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It asks for more than this machine has.
    #[error("the job can never start here: {reason}")]
    TooLarge {
        /// In words and numbers.
        reason: String,
    },
    /// Its deadline cannot be kept.
    #[error("it would be done at {}, after its deadline at {}", done.rfc3339(), deadline.rfc3339())]
    TooLate {
        /// When it has to be done.
        deadline: Timestamp,
        /// When it would be, if everybody runs as long as was said.
        done: Timestamp,
    },
    /// Too many jobs wait.
    #[error("the queue is full: {limit} jobs wait")]
    QueueFull {
        /// The limit.
        limit: u64,
    },
    /// There is no such queue.
    #[error("there is no queue '{queue}'")]
    NoQueue {
        /// What was asked for.
        queue: String,
        /// The one that it is most like.
        nearest: Option<String>,
    },
    /// These cannot be the queues.
    #[error("{field}: {reason}")]
    InvalidQueues {
        /// Which part of them.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This usage cannot be told.
    #[error("the usage cannot be told: {reason}")]
    InvalidUsage {
        /// Which part of the question is wrong.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// These cannot be the nodes.
    #[error("{field}: {reason}")]
    InvalidNodes {
        /// Which part of them.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such node.
    #[error("there is no node '{node}'")]
    NoNode {
        /// What was asked for.
        node: String,
        /// The one that it is most like.
        nearest: Option<String>,
    },
    /// A job runs on a node, or holds an accelerator of it, that is to go.
    #[error("{what} cannot go: '{name}' ({job}) is there")]
    NodeInUse {
        /// The node, or the accelerator and its node.
        what: String,
        /// The job.
        job: JobId,
        /// What it is called.
        name: String,
    },
    /// Jobs wait or run in a queue that is to go.
    #[error("queue '{queue}' cannot go: {jobs} of its jobs wait or run")]
    QueueInUse {
        /// The queue.
        queue: String,
        /// How many there are.
        jobs: u64,
    },
    /// The stored queues cannot be read.
    #[error("the queues are stored in a form that this version does not read: {reason}")]
    BadQueues {
        /// What is wrong.
        reason: String,
    },
    /// A stored job cannot be read.
    #[error("job {job} is stored in a form that this version does not read: {reason}")]
    BadRow {
        /// The job.
        job: String,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint folder cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Checkpoint {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No port is free for the gang to meet on.
    #[error("no free port was found on the loopback address")]
    NoFreePort,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The executor failed.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// A blocking helper was cut off because the process is stopping.
    #[error("the operation was interrupted because the server is stopping")]
    Interrupted,
}

impl Diagnose for JobsError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "job_not_found",
            Self::NoSuchRank { .. } => "job_rank_not_found",
            Self::Ended { .. } => "job_ended",
            Self::InvalidSpec { .. } => "job_invalid",
            Self::TooLarge { .. } => "job_too_large",
            Self::TooLate { .. } => "deadline_too_early",
            Self::QueueFull { .. } => "queue_full",
            Self::NoQueue { .. } => "queue_not_found",
            Self::InvalidQueues { .. } => "queues_invalid",
            Self::InvalidUsage { .. } => "usage_invalid",
            Self::QueueInUse { .. } => "queue_in_use",
            Self::InvalidNodes { .. } => "nodes_invalid",
            Self::NoNode { .. } => "node_not_found",
            Self::NodeInUse { .. } => "node_in_use",
            Self::BadQueues { .. } => "queues_unreadable",
            Self::BadRow { .. } => "job_unreadable",
            Self::Checkpoint { .. } => "checkpoint_io_failed",
            Self::NoFreePort => "no_free_port",
            Self::Store(error) => error.code(),
            Self::Executor(error) => error.code(),
            Self::Interrupted => "server_stopping",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::NotFound { .. } | Self::NoSuchRank { .. } | Self::NoNode { .. } => Meaning::NotFound,
            Self::Ended { .. } | Self::QueueInUse { .. } | Self::NodeInUse { .. } => Meaning::Conflict,
            Self::InvalidSpec { .. }
            | Self::TooLarge { .. }
            | Self::TooLate { .. }
            | Self::NoQueue { .. }
            | Self::InvalidQueues { .. }
            | Self::InvalidNodes { .. }
            | Self::InvalidUsage { .. } => Meaning::InvalidInput,
            Self::QueueFull { .. } => Meaning::ResourceExhausted,
            Self::BadRow { .. } | Self::BadQueues { .. } => Meaning::Internal,
            Self::Checkpoint { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Meaning::StorageFull
            }
            Self::Checkpoint { .. } => Meaning::Internal,
            Self::NoFreePort | Self::Interrupted => Meaning::Unavailable,
            Self::Store(error) => error.meaning(),
            Self::Executor(error) => error.meaning(),
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::InvalidSpec { field, .. } | Self::InvalidUsage { field, .. } => Some((*field).to_owned()),
            Self::TooLarge { .. } => Some("resources".to_owned()),
            Self::NoQueue { .. } => Some("queue".to_owned()),
            Self::InvalidQueues { field, .. } | Self::InvalidNodes { field, .. } => Some(field.clone()),
            Self::NoNode { .. } => Some("node".to_owned()),
            Self::TooLate { .. } => Some("deadline".to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("list jobs with: corliss jobs list".to_owned()),
            Self::TooLarge { .. } => {
                Some("ask for less, use fewer workers, or run it on a larger machine".to_owned())
            }
            Self::NoQueue { nearest, .. } => Some(match nearest {
                Some(name) => format!("did you mean '{name}'?"),
                None => "list queues with: corliss admin queues show".to_owned(),
            }),
            Self::NoNode { nearest, .. } => Some(match nearest {
                Some(name) => format!("did you mean '{name}'?"),
                None => "list nodes with: corliss admin nodes show".to_owned(),
            }),
            Self::NodeInUse { job, .. } => Some(format!(
                "wait until it has ended, or cancel it with: corliss jobs cancel {job}"
            )),
            Self::QueueInUse { .. } => Some("wait until they have ended, or cancel them".to_owned()),
            Self::TooLate { .. } => Some(
                "give it more time, ask for less, or use a queue that does not go by deadlines".to_owned(),
            ),
            Self::QueueFull { .. } => Some("wait until some of them have run".to_owned()),
            Self::Store(error) => error.hint(),
            Self::Executor(error) => error.hint(),
            _ => None,
        }
    }
}

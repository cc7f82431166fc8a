//! Jobs: gangs of tasks in queues, from submission to their end.
//!
//! A job is one attempt. Who wants another submits another job; this crate never retries. It is submitted
//! under the caller's key, waits in its queue for its turn, starts whole or not at all, and ends with a class
//! that tells whether the program or the machine was at fault, or whether it made room for another.
//!
//! Invariants:
//! - One key, one job, however often it is submitted.
//! - The decision to start a job, with the ids of its tasks, is stored before any of them is started; a task
//!   is started under its id, so a server killed in between starts it again without running it twice.
//! - A job holds its resources from that decision until every one of its tasks has ended.
//! - Every change of a job is a compare-and-set on its generation.

pub mod checkpoints;
mod config;
mod error;
pub mod http;
mod launch;
mod live;
mod nodes;
mod queues;
mod reconcile;
mod service;
mod store;
mod terms;
mod text;
mod types;
mod usage;
mod view;

pub use config::JobsConfig;
pub use error::JobsError;
pub use nodes::{LOCAL_NODE, NodeSettings, NodeSpec};
pub use queues::{Amounts, Preempt, QueueSettings, QueueSpec};
pub use service::{
    AcceleratorView, Affected, Drained, Effect, Foreseen, JobChanged, JobFilter, JobPage, Jobs, LogRequest,
    LogSlice, NodeJob, NodeView, NodesView, QueueItem, QueueUsage, QueueView, QueuesView, Why, WhyReason,
    Wish,
};
pub use store::MIGRATIONS;
pub use terms::{DEFAULT_QUEUE, Place, Terms};
pub use types::{
    CheckpointSpec, Command, ExitClass, Job, JobKind, JobSpec, JobState, LaunchFacts, Launcher, StopCause,
    Task, TaskPhase,
};
pub use usage::{Consumption, Hours, Period, Usage, UsageBy, UsageItem, UsageQuery};

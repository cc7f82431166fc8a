//! Tasks: one process tree each, started under a shim that outlives the server.
//!
//! The [`Executor`] port starts, observes and stops a task by its id and its state directory. The local
//! implementation ([`LocalExecutor`]) starts one shim process per task; the shim ([`shim::main`]) owns the
//! task's process tree, its log and its exit record, so a restarted server only has to read files.
//! [`FakeExecutor`] is the twin without processes; `tests/conformance.rs` holds both to the same suite.
//!
//! Invariants:
//! - A task directory is run at most once: the shim holds an exclusive lock on it for life, and writes
//!   `starting` before it spawns anything.
//! - An exit is told once and never changes: whoever holds the lock writes the record, by rename.
//! - No process of a task outlives its exit record, except one that the kernel refuses to kill.

mod cgroup;
mod error;
mod fake;
mod files;
pub mod inventory;
mod local;
pub mod logs;
mod port;
mod process;
pub mod shim;
mod types;

pub use error::ExecutorError;
pub use fake::FakeExecutor;
pub use local::{LocalConfig, LocalExecutor};
pub use port::Executor;
pub use process::boot_id;
pub use types::{ExitKind, LimitEnforcement, TaskExit, TaskRef, TaskSpec, TaskState};

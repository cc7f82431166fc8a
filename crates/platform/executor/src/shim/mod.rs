//! The shim: one small process per task that owns the task's process tree, log and exit record, and
//! outlives the server.
//!
//! It runs in two stages of the same binary. Stage one claims the directory, leaves the server's session,
//! records and supervises. It spawns stage two, which ties its own life to stage one's (so that a killed
//! shim takes the task with it), enters its cgroup and becomes the task by `exec`. Two stages because what
//! must happen between fork and exec is `unsafe` in one.

/// A line for a person, on standard error. That may lie on a full disk, where `eprintln!` would panic and take
/// the task's exit record with it; a lost line is the lesser loss.
macro_rules! tell {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

mod claim;
mod exec;
mod memory;
mod output;
mod supervise;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// Set for stage two.
const STAGE: &str = "CORLISS_SHIM_STAGE";
/// Tells stage two who its parent must be: pids of the shim.
const PARENT: &str = "CORLISS_SHIM_PID";
/// Tells stage two which cgroup to enter.
const GROUP: &str = "CORLISS_SHIM_CGROUP";
/// Tells the shim under which cgroup to make the task's; absent if none is delegated.
pub(crate) const GROUP_PARENT: &str = "CORLISS_SHIM_CGROUP_PARENT";

/// What stage one answers on its standard output, as one line of JSON, before it goes on alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The task was spawned now.
    Started { pid: i32, started_ms: i64 },
    /// It has a record already, or another shim is on it: look there.
    Known,
    /// It was not started, for this reason.
    Refused(String),
}

/// Runs the task of this directory. The binary calls this for `corliss shim --dir DIR`; any binary that
/// passes its own arguments through to itself will do.
#[must_use]
pub fn main(dir: &Path) -> ExitCode {
    if std::env::var_os(STAGE).is_some() {
        return exec::become_task(dir);
    }
    match claim::run(dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // The server reads the answer; the shim's own log keeps it for a person.
            tell!("corliss shim: {reason}");
            claim::answer(&Answer::Refused(reason));
            ExitCode::FAILURE
        }
    }
}

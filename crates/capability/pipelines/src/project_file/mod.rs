//! The project file: one YAML file that describes a workload end to end.
//!
//! Reading is strict and tells everything at once: every problem of a file in one answer, each with its
//! place, its field and the nearest valid name. The stages are `tree` (text to a bounded tree), `read`
//! (tree to typed sections), `check` (what spans sections); each goes on where the one before found fault,
//! as far as that leads to no false alarm.

mod check;
mod condition;
mod placing;
mod problem;
mod read;
mod scalar;
mod schema;
mod section;
mod spec;
mod tree;

use corliss_types::{Accelerator, Resources};

pub use check::variable_name;
pub use condition::{Clause, Comparison, Condition, ConditionError};
pub use problem::{MAX_PROBLEMS, Mark, Problem};
pub use read::{MAX_ITEMS, MAX_REPLICAS, MAX_RETRIES, MAX_WORKERS};
pub use scalar::duration_ms;
pub use schema::json_schema;
pub use spec::{
    Checkpoint, DataSource, Endpoint, Input, Launcher, Model, ProjectFile, Queueing, Retries, Step,
};
pub use tree::MAX_BYTES;

/// Where the steps of a file are to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// All that the machine has.
    pub total: Resources,
    /// Its accelerators.
    pub accelerators: Vec<Accelerator>,
    /// Names of the queues.
    pub queues: Vec<String>,
    /// What nodes stand in, such as rack.
    pub levels: Vec<String>,
}

/// Reads a project file.
///
/// With the site, steps that could never start there are refused.
///
/// # Errors
/// Every problem of the file, in its order; at least one.
pub fn parse(text: &str, site: Option<&Site>) -> Result<ProjectFile, Vec<Problem>> {
    let mut problems = problem::Problems::default();
    let file = tree::build(text, &mut problems).and_then(|root| {
        let raw = read::file(&root, &mut problems);
        check::resolve(raw, site, &mut problems)
    });
    match file {
        Some(file) if problems.is_empty() => Ok(file),
        _ => {
            if problems.is_empty() {
                problems.add(Mark::START, "", "the file is empty");
            }
            Err(problems.into_sorted())
        }
    }
}

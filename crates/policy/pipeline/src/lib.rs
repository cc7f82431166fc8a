//! Pure decisions about a pipeline run: which steps start, reuse an earlier result, are published, tried
//! again, stopped or given up, and when the run is over. See README.md for the problem restated small.
//!
//! Invariants: no clock, no randomness, no I/O; the same view always gives the same plan; a plan holds at
//! most one action per step; what it says is checked by [`invariants`].

mod decide;
mod failure;
pub mod invariants;
mod lifecycle;
mod plan;
mod rerun;
mod view;

pub use decide::decide;
pub use failure::{Ending, FailureClass, classify, retry_delay};
pub use lifecycle::{RunState, StepState};
pub use plan::{Action, Plan, Reason};
pub use rerun::{Fate, RerunError, rerun};
pub use view::{Attempt, AttemptState, Cached, Release, RetryBudget, RunView, StepView};

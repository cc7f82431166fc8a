//! Pure decisions about endpoints: which replicas to start, drain and stop.
//!
//! The problem is restated small in this crate's README; [`decide`] is its answer and
//! [`invariants::check`] what every answer must satisfy.

mod decide;
pub mod invariants;
pub mod lifecycle;
mod plan;
pub mod router;
mod view;

pub use decide::decide;
pub use plan::{Action, Phase, Plan, Reason};
pub use view::{Crashes, Desired, Limits, Replica, ReplicaState, View};

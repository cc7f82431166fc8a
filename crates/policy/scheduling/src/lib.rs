//! Which gang starts now, where, and why the others wait: pure, first in first out, whole gangs only.
//!
//! The problem is restated small in this crate's README; [`decide`] is its answer and
//! [`invariants::check`] what every answer must satisfy.

mod decide;
pub mod invariants;
pub mod nodes;
pub mod order;
pub mod place;
mod plan;
mod view;

pub use decide::{capacity_shortages, decide};
pub use plan::{Placement, Plan, Refusal, Resource, Shortage, Start, Wait, WaitReason};
pub use view::{Machine, QueuedGang, RunningGang, View};

//! Which gangs start now, where, whose places they take, and why the others wait: pure.
//!
//! The problem is restated small in this crate's README. [`decide`] is its answer to a [`View`]; [`Scheduler`] is the same
//! answer kept up to date by events; [`invariants::check`] is what every answer must satisfy.

pub mod cluster;
mod decide;
pub mod invariants;
pub mod nodes;
pub mod order;
pub mod place;
mod plan;
pub mod queues;
mod scheduler;
mod view;

pub use decide::decide;
pub use plan::{Never, Plan, Preemption, Refusal, Resource, Right, Shortage, Start, Wait};
pub use scheduler::{Event, Forecast, Scheduler};
pub use view::{Gang, Past, Promised, Rate, Rules, Running, View};
